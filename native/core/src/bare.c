// The engine without minihv: the other side of `minihv bench`.
//
// Stands for: what somebody would write who wants the engine's speed and nothing else: no walk, no
// counters, no budget, no exits that mean anything. The bench divides by what this costs.
// Simplified: everything.
//
// It executes in SVM guest mode too, entered once by VMRUN, because intercepts exist only there.
// Loops without intercepts do not become slower by it.

#include "minihv/bare.h"
#include "minihv/vmcb.h"

#include <stdlib.h>
#include <string.h>

enum { STUB_SPA = 0x1000, VMCB_SPA = 0x2000, HOST_SAVE_SPA = 0x3000, REST_SPA = 0x4000 };
enum {
    EXIT_CPUID = 0x72,
    EXIT_HLT = 0x78,
    EXIT_VMMCALL = 0x81,
    CPUID_BYTES = 2,
    VMMCALL_BYTES = 3
};
enum {
    INTERCEPT_1 = 1 << (EXIT_CPUID - 0x60) | 1 << (EXIT_HLT - 0x60),
    INTERCEPT_2 = 1 << 0 | 1 << 1
};
enum { CR4 = 0x620, EFER = 1 << 12 | 1 << 11 | 1 << 10 | 1 << 8, EFER_BEFORE = EFER & ~(1 << 10) };
static const uint64_t CR0_PAGED = 0x80010033;
static const uint32_t MSR_EFER = 0xC0000080, MSR_VM_HSAVE_PA = 0xC0010117;

static const uint8_t STUB[] = {0x0F, 0x01, 0xD8}; // vmrun rax
static const uint8_t REST[] = {0xF4};             // hlt

struct mhv_bare {
    struct mhv_engine_api api;
    void *engine;
    bool halted;
    struct mhv_bare_counters counters;
};

// W^X: code is filled as such, and everything else is written at full speed.
static bool on_fill(void *engine, uint64_t gva, int type, struct mhv_engine_fill *fill, void *user)
{
    struct mhv_bare *bare = user;

    (void)engine;
    bare->counters.fills++;
    fill->address = gva;
    fill->rights = type == MHV_UC_MEM_FETCH ? MHV_UC_PROT_READ | MHV_UC_PROT_EXEC
                                            : MHV_UC_PROT_READ | MHV_UC_PROT_WRITE;
    return true;
}

static void on_intercept(void *engine, uint32_t number, void *user)
{
    struct mhv_bare *bare = user;
    uint64_t rip = 0;

    bare->counters.intercepts++;
    if (number != 256 + EXIT_CPUID && number != 256 + EXIT_VMMCALL) {
        bare->halted = number == 256 + EXIT_HLT;
        bare->api.emu_stop(engine);
        return;
    }
    bare->api.reg_read(engine, MHV_UC_RIP, &rip);
    rip += number == 256 + EXIT_CPUID ? CPUID_BYTES : VMMCALL_BYTES;
    bare->api.reg_write(engine, MHV_UC_RIP, &rip);
}

static void write_msr(struct mhv_bare *bare, uint32_t number, uint64_t value)
{
    struct {
        uint32_t number;
        uint64_t value;
    } msr = {number, value};

    bare->api.reg_write(bare->engine, MHV_UC_MSR, &msr);
}

static bool add_hook(struct mhv_bare *bare, int type, void (*hook)(void))
{
    size_t handle;
    void *callback;

    memcpy((void *)&callback, (const void *)&hook,
           sizeof callback); // ISO C has no cast between the two kinds of pointer
    return bare->api.hook_add(bare->engine, &handle, type, callback, bare, 1, 0) == MHV_UC_OK;
}

static bool open_engine(struct mhv_bare *bare, uint8_t *bytes, uint64_t byte_count)
{
    const struct mhv_engine_api *api = &bare->api;
    const uint32_t rights = MHV_UC_PROT_READ | MHV_UC_PROT_WRITE | MHV_UC_PROT_EXEC;

    if (api->open(MHV_UC_ARCH_X86, MHV_UC_MODE_64, &bare->engine) != MHV_UC_OK)
        return false;
    return api->ctl(bare->engine, MHV_UC_CTL_CPU_MODEL, MHV_UC_CPU_EPYC) == MHV_UC_OK &&
           api->ctl(bare->engine, MHV_UC_CTL_USE_EXITS, 1) == MHV_UC_OK &&
           api->ctl(bare->engine, MHV_UC_CTL_TLB_TYPE, MHV_UC_TLB_VIRTUAL) == MHV_UC_OK &&
           api->mem_map_ptr(bare->engine, 0, byte_count, rights, bytes) == MHV_UC_OK &&
           add_hook(bare, MHV_UC_HOOK_TLB_FILL, (void (*)(void))on_fill) &&
           add_hook(bare, MHV_UC_HOOK_INTR, (void (*)(void))on_intercept);
}

static void build_vmcb(struct mhv_vmcb *vmcb)
{
    const struct mhv_vmcb_segment code = {8, 0xA9B, UINT32_MAX, 0},
                                  data = {16, 0xC93, UINT32_MAX, 0};
    struct mhv_vmcb_save *save = &vmcb->save;

    memset(vmcb, 0, sizeof *vmcb);
    vmcb->control.intercept_instructions1 = INTERCEPT_1;
    vmcb->control.intercept_instructions2 = INTERCEPT_2;
    vmcb->control.guest_asid = 1;
    save->cs = code;
    save->es = save->ss = save->ds = save->fs = save->gs = data;
    save->cr0 = CR0_PAGED;
    save->cr4 = CR4;
    save->efer = EFER;
    save->rflags = 2;
    save->dr7 = 0x400;
    save->rip = REST_SPA;
}

// VMRUN into a guest that halts at once. From here on the engine is in guest mode for good.
static bool enter(struct mhv_bare *bare, uint8_t *bytes)
{
    const uint64_t cr4 = CR4, vmcb_spa = VMCB_SPA;

    memcpy(bytes + STUB_SPA, STUB, sizeof STUB);
    memcpy(bytes + REST_SPA, REST, sizeof REST);
    build_vmcb((struct mhv_vmcb *)(void *)(bytes + VMCB_SPA));
    bare->api.reg_write(bare->engine, MHV_UC_CR4, &cr4);
    write_msr(bare, MSR_EFER, EFER_BEFORE);
    write_msr(bare, MSR_VM_HSAVE_PA, HOST_SAVE_SPA);
    bare->api.reg_write(bare->engine, MHV_UC_RAX, &vmcb_spa);
    bare->api.emu_start(bare->engine, STUB_SPA, 0, 0, 0);
    return bare->halted;
}

struct mhv_bare *mhv_bare_create(const struct mhv_engine_api *api, uint8_t *bytes,
                                 uint64_t byte_count)
{
    struct mhv_bare *bare = calloc(1, sizeof *bare);

    if (!bare)
        return NULL;
    bare->api = *api;
    if (open_engine(bare, bytes, byte_count) && enter(bare, bytes))
        return bare;
    mhv_bare_destroy(bare);
    return NULL;
}

void mhv_bare_destroy(struct mhv_bare *bare)
{
    if (!bare)
        return;
    if (bare->engine)
        bare->api.close(bare->engine);
    free(bare);
}

bool mhv_bare_run(struct mhv_bare *bare, uint64_t rip, uint64_t rcx)
{
    bare->halted = false;
    bare->api.reg_write(bare->engine, MHV_UC_RCX, &rcx);
    return bare->api.emu_start(bare->engine, rip, 0, 0, 0) == MHV_UC_OK && bare->halted;
}

void mhv_bare_count(const struct mhv_bare *bare, struct mhv_bare_counters *ret)
{
    *ret = bare->counters;
}
