"""Small programs that do a little of everything, put together at random from pieces."""

from random import Random

from machines import SmallMachine, virtual_interrupt

DATA = 0x9000
PIECES = {
    "arithmetic": "add eax, 0x1234567; imul rbx, rax, 7; xor ecx, ebx; adc rdx, rcx",
    "loop": "mov ecx, {n}; {label}: inc rbx; loop {label}",
    "branches": "mov ecx, {n}; {label}: test cl, 1; jz {label}a; inc r8; {label}a: loop {label}",
    "string": "cld; lea rdi, [0x9000]; mov ecx, {n}; mov al, {n}; rep stosb",
    "string backwards": "std; mov esi, 0x9080; mov edi, 0x9180; mov ecx, {n}; rep movsb; cld",
    "compare strings": "cld; mov esi, 0x9000; mov edi, 0x9100; mov ecx, {n}; repe cmpsb; setz r9b",
    "stack": "push rax; push rbx; pop rcx; call {label}; jmp {label}a; {label}: ret; {label}a: pop rdx",
    "flags": "stc; pushfq; pop rax; popcnt rbx, rax; std; pushfq; pop rdx; cld",
    "x87": "fld1; fldpi; faddp; sub rsp, 8; fistp qword ptr [rsp]; pop r10",
    "SSE": "movq xmm0, rax; paddq xmm0, xmm0; movq rbx, xmm0; pshufd xmm1, xmm0, {n}",
    "undefined": "ud2",
    "division by zero": "xor ecx, ecx; div ecx",
    "page fault": "mov eax, [0x40000000]",
    "software interrupt": "int 0x80",
    "cpuid": "mov eax, {n}; xor ecx, ecx; cpuid; mov r11, rbx",
    "time": "rdtsc; mov r12, rax",
    "console": "mov al, {n}; out 0xE9, al",
    "port": "in eax, 0x60",
    "string to the console": "cld; mov esi, 0x9000; mov ecx, 5; mov edx, 0xE9; rep outsb",
    "interrupts on": "sti; inc r13; cli",
    "interrupts on, twice": "sti; sti; inc r13; nop; cli",
    "interrupts on, exits": "sti; in al, 0x60; inc r13; cli; sti; cpuid; inc r13; inc r13; cli",
    "stepped": "push 0x102; popfq; inc r13; nop; push 2; popfq",
    "stepped exits": "push 0x102; popfq; cpuid; out 0xE9, al; mov rax, cr3; mov cr3, rax; push 2; popfq",
    "stepped string": "mov esi, esp; mov ecx, 3; mov edx, 0xE9; push 0x102; popfq; rep outsb; push 2; popfq",
    "task priority": "mov ecx, {n} & 15; mov cr8, rcx; mov r13, cr8",
    "debug register": "mov dr1, rax; mov r13, dr1",
    "new page table root": "mov rax, cr3; mov cr3, rax",
    "invlpg": "invlpg [0x9000]",
    "stack segment": "mov ecx, 0x10; mov ss, ecx; inc r13",
    "stack segment and fault": "mov ecx, 0x10; mov ss, ecx; ud2",
}
HANDLERS = {
    0: "add qword ptr [rsp], 2; iretq",
    1: "inc r14; iretq",
    6: "inc r14; add qword ptr [rsp], 2; iretq",
    14: "add rsp, 8; add qword ptr [rsp], 7; inc r15; iretq",
    0x40: "inc r15; iretq",
    0x80: "mov r14, [rsp + 16]; iretq",
}


def random_program(random: Random, length: int = 8) -> str:
    """The assembly of some pieces, one after the other, and a HLT."""
    chosen = random.choices(list(PIECES), k=length)
    numbers = [random.randrange(1, 40) for _ in chosen]
    pairs = enumerate(zip(chosen, numbers, strict=True))
    pieces = [PIECES[name].format(n=n, label=f"l{at}") for at, (name, n) in pairs]
    return "; ".join([*pieces, "hlt"])


def machine_with(code: str, **parts: object) -> SmallMachine:
    """A machine that runs ``code`` with an interrupt pending."""
    made = SmallMachine(code, handlers=HANDLERS, **parts)  # type: ignore[arg-type]
    made.vp.control.virtual_interrupt = virtual_interrupt(0x40, priority=8)
    return made
