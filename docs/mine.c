__attribute__((naked)) void _start(void)
{
    __asm__("call say\n 1: cli; hlt; jmp 1b"); // the call aligns the stack as C functions want it
}

void say(void)
{
    for (const char *at = "Mine.\n"; *at; at++)
        __asm__ volatile("outb %0, %1" : : "a"(*at), "Nd"((unsigned short)0xE9));
}
