// Creation of the emulated processor: the engine, its hooks, and the proof that it is the known
// one.
//
// Stands for: the silicon of one machine, at power-on, in the hands of ring -1.
// Simplified: one engine executes all logical processors in turn; it is AMD's model with SVM.

#include "inside.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENGINE_HEAD_BYTES =
        8192, // of the engine's own structure, in which its last refused address lies
    TCG_BUFFER_BYTES = 64 << 20,
    CR4_HOST = 0x620, // PAE, OSFXSR, OSXMMEXCPT: VMRUN wants PAE, or it drops the guest's CR0
};
static const uint32_t MSR_EFER = 0xC0000080, MSR_VM_HSAVE_PA = 0xC0010117;
static const uint64_t CR0_HOST_PAGED = 0x80000033; // PG, NE, ET, MP, PE

// ring -1's entry: FNINIT is executed once; later entries begin at the VMLOAD.
static const uint8_t STUB[] = {
    0x0F, 0x01, 0xDA, // vmload rax
    0x0F, 0x01, 0xD8, // vmrun rax
    0xF4,             // hlt: never reached, as the engine performs no #VMEXIT
};
// Probes, after the stub. A #GP with a known error code; a load from a known bad address.
static const uint8_t PROBE_ERROR[] = {
    0xDB, 0xE3, 0xB8, 0x00, 0x1F, 0x00, 0x00, 0x8E, 0xD8}; // fninit; mov eax, 0x1F00; mov ds, eax
static const uint8_t PROBE_ADDRESS[] = {0x48, 0x8B, 0x03}; // mov rax, [rbx]
// Makes the engine forget the page of the address in RAX.
static const uint8_t FORGET_PAGE[] = {0x0F, 0x01, 0xDF, 0xF4}; // invlpga rax, ecx; hlt
enum { PROBE_ERROR_AT = 0x100, PROBE_ADDRESS_AT = 0x200, PROBE_ERROR_CODE = 0x1F00 };

static void native_walk(void *user, const struct mhv_paging *guest, const struct mhv_paging *second,
                        uint64_t gva, const struct mhv_access *access, struct mhv_walk_result *ret)
{
    struct mhv_processor *processor = user;

    if (second && !processor->caches)
        mhv_nested_walk(&processor->ram, guest, second, gva, *access, ret);
    else if (second)
        mhv_nested_walk_cached(&processor->ram, guest, second, gva, *access, &processor->walk_cache,
                               ret);
    else
        mhv_walk(&processor->ram, guest, gva, *access, ret);
}

static void write_msr(struct mhv_processor *processor, uint32_t number, uint64_t value)
{
    struct {
        uint32_t number;
        uint64_t value;
    } msr = {number, value};

    processor->api.reg_write(processor->engine, MHV_UC_MSR, &msr);
}

// Hooks are added before the first block is translated: the engine does not see later ones.
typedef void (*generic_hook)(void);
static bool add_hook(struct mhv_processor *processor, int type, generic_hook hook, int instruction)
{
    size_t handle;
    void *callback;

    memcpy((void *)&callback, (const void *)&hook,
           sizeof callback); // ISO C has no cast between the two kinds of pointer
    return processor->api.hook_add(processor->engine, &handle, type, callback, processor, 1, 0,
                                   instruction) == MHV_UC_OK;
}

// Never called: memory is never unmapped. Its presence alone sends stores to [begin, end] down the
// engine's careful path, where each is compared with the translated blocks.
static bool on_unmapped(void *engine, int type, uint64_t address, int byte_count, int64_t value,
                        void *user)
{
    (void)engine, (void)type, (void)address, (void)byte_count, (void)value, (void)user;
    return false;
}

static bool watch_stores(struct mhv_processor *processor, uint64_t begin, uint64_t end)
{
    size_t handle;
    bool (*hook)(void *, int, uint64_t, int, int64_t, void *) = on_unmapped;
    void *callback;

    memcpy((void *)&callback, (const void *)&hook, sizeof callback);
    return processor->api.hook_add(processor->engine, &handle, MHV_UC_HOOK_MEM_READ_UNMAPPED,
                                   callback, processor, begin, end) == MHV_UC_OK;
}

static bool open_engine(struct mhv_processor *processor)
{
    const struct mhv_engine_api *api = &processor->api;
    const bool ours = processor->paging_mode != MHV_PAGING_HARDWARE;
    const bool shadow = processor->paging_mode == MHV_PAGING_SHADOW;
    const uint64_t bytes = processor->memory->byte_count, alias = UINT64_C(1) << 38;
    const int rights = MHV_UC_PROT_READ | MHV_UC_PROT_WRITE | MHV_UC_PROT_EXEC;

    processor->engine_error = api->open(MHV_UC_ARCH_X86, MHV_UC_MODE_64, &processor->engine);
    if (processor->engine_error)
        return false;
    void *engine = processor->engine;
    api->ctl(engine, MHV_UC_CTL_TCG_BUFFER_BYTES, (uint32_t)TCG_BUFFER_BYTES);
    return api->ctl(engine, MHV_UC_CTL_CPU_MODEL, MHV_UC_CPU_EPYC) == MHV_UC_OK &&
           api->ctl(engine, MHV_UC_CTL_USE_EXITS, 1) == MHV_UC_OK &&
           api->ctl(engine, MHV_UC_CTL_TLB_TYPE, ours ? MHV_UC_TLB_VIRTUAL : MHV_UC_TLB_CPU) ==
               MHV_UC_OK &&
           api->mem_map_ptr(engine, 0, bytes, (uint32_t)rights, processor->memory->bytes) ==
               MHV_UC_OK &&
           (!ours || api->mem_map_ptr(engine, alias, bytes, (uint32_t)rights,
                                      processor->memory->alias) == MHV_UC_OK) &&
           (!shadow ||
            api->mmio_map(engine, UINT64_C(1) << EMULATED_SHIFT, bytes, mhv_on_emulated_read,
                          processor, mhv_on_emulated_write, processor) == MHV_UC_OK) &&
           watch_stores(processor, ours ? alias : 0, (ours ? alias : 0) + bytes - 1) &&
           (!ours || add_hook(processor, MHV_UC_HOOK_TLB_FILL, (generic_hook)mhv_on_fill, 0)) &&
           add_hook(processor, MHV_UC_HOOK_BLOCK, (generic_hook)mhv_on_block, 0) &&
           add_hook(processor, MHV_UC_HOOK_INTR, (generic_hook)mhv_on_trap, 0) &&
           add_hook(processor, MHV_UC_HOOK_INSN, (generic_hook)mhv_on_in, MHV_UC_INS_IN) &&
           add_hook(processor, MHV_UC_HOOK_INSN, (generic_hook)mhv_on_out, MHV_UC_INS_OUT) &&
           add_hook(processor, MHV_UC_HOOK_INSN, (generic_hook)mhv_on_syscall,
                    MHV_UC_INS_SYSCALL) &&
           add_hook(processor, MHV_UC_HOOK_INSN, (generic_hook)mhv_on_sysenter,
                    MHV_UC_INS_SYSENTER) &&
           api->context_alloc(engine, &processor->host_context) == MHV_UC_OK;
}

static void run_probe(struct mhv_processor *processor, uint32_t at)
{
    processor->phase = PHASE_STUB;
    processor->stop_at = UINT64_MAX;
    processor->event.kind = EVENT_NONE;
    processor->api.emu_start(processor->engine, processor->stub_spa + at, 0, 0, 0);
    processor->blocks = 0;
}

// The place of the refused address in the engine's structure: the only word that equals it, twice.
static bool prove_address(struct mhv_processor *processor)
{
    const uint64_t marks[2] = {UINT64_C(0x123456789ABC), UINT64_C(0x345678ABCDE8)};
    uint64_t found = 0;

    for (int round = 0; round < 2; round++) {
        uint64_t place = 0, count = 0;
        processor->api.reg_write(processor->engine, MHV_UC_RBX, &marks[round]);
        run_probe(processor, PROBE_ADDRESS_AT);
        for (uint64_t at = 0; at + 8 <= ENGINE_HEAD_BYTES; at += 8) {
            uint64_t word;
            memcpy(&word, (const char *)processor->engine + at, sizeof word);
            if (word == marks[round]) {
                place = at;
                count++;
            }
        }
        if (count != 1 || (round == 1 && place != found))
            return false;
        found = place;
    }
    processor->invalid_address_offset = found;
    return true;
}

static bool prove_engine(struct mhv_processor *processor)
{
    const struct mhv_engine_api *api = &processor->api;
    uint8_t *page = processor->ram.bytes + processor->stub_spa;
    const struct mhv_silicon *silicon;

    if (!mhv_silicon_prove(api, processor->engine, processor->host_context))
        return false;
    memcpy(page, STUB, sizeof STUB);
    memcpy(page + PROBE_ERROR_AT, PROBE_ERROR, sizeof PROBE_ERROR);
    memcpy(page + PROBE_ADDRESS_AT, PROBE_ADDRESS, sizeof PROBE_ADDRESS);
    memcpy(page + MHV_FORGET_PAGE_AT, FORGET_PAGE, sizeof FORGET_PAGE);
    run_probe(processor, PROBE_ERROR_AT);
    if (processor->event.kind != EVENT_TRAP || processor->event.trap != MHV_VECTOR_GP ||
        api->context_save(processor->engine, processor->host_context) != MHV_UC_OK)
        return false;
    silicon = mhv_silicon_of(processor->host_context);
    if (silicon->error_code != PROBE_ERROR_CODE)
        return false;
    processor->live = mhv_find_live(processor);
    return processor->paging_mode == MHV_PAGING_HARDWARE || prove_address(processor);
}

// The state in which the stub is entered, kept as a context that every world switch starts from.
static bool prepare_host(struct mhv_processor *processor, uint64_t host_root)
{
    const struct mhv_engine_api *api = &processor->api;
    const uint64_t cr4 = CR4_HOST, zero = 0;
    const uint32_t mxcsr = 0x1F80;
    const uint16_t control_word = 0x37F;
    const uint64_t efer = EFER_SVME | EFER_LME | EFER_NXE;

    api->reg_write(processor->engine, MHV_UC_CR4, &cr4);
    api->reg_write(processor->engine, MHV_UC_MXCSR, &mxcsr);
    api->reg_write(processor->engine, MHV_UC_FPCW, &control_word);
    api->reg_write(processor->engine, MHV_UC_RBX, &zero);
    write_msr(processor, MSR_EFER, efer);
    write_msr(processor, MSR_VM_HSAVE_PA, processor->stub_spa + UINT64_C(2) * PAGE_BYTES);
    if (processor->paging_mode == MHV_PAGING_HARDWARE) {
        api->reg_write(processor->engine, MHV_UC_CR3, &host_root);
        api->reg_write(processor->engine, MHV_UC_CR0, &CR0_HOST_PAGED);
    }
    return api->context_save(processor->engine, processor->host_context) == MHV_UC_OK;
}

struct mhv_processor *mhv_processor_create(const struct mhv_engine_api *api,
                                           struct mhv_memory *memory, uint32_t paging_mode,
                                           uint64_t stub_spa, uint64_t host_root, int *engine_error)
{
    struct mhv_processor *processor = calloc(1, sizeof *processor);

    if (!processor)
        return NULL;
    processor->api = *api;
    processor->memory = memory;
    processor->ram = (struct mhv_ram){memory->bytes, memory->byte_count};
    processor->paging_mode = paging_mode;
    processor->stub_spa = stub_spa;
    processor->walker = (struct mhv_walker){native_walk, processor};
    processor->caches = true;
    if (open_engine(processor) && prove_engine(processor) && prepare_host(processor, host_root)) {
        processor->phase = PHASE_GUEST;
        return processor;
    }
    *engine_error = processor->engine_error;
    mhv_processor_destroy(processor);
    return NULL;
}

void mhv_processor_destroy(struct mhv_processor *processor)
{
    if (!processor)
        return;
    if (processor->host_context)
        processor->api.context_free(processor->host_context);
    if (processor->engine)
        processor->api.close(processor->engine);
    free(processor);
}

void mhv_processor_add_shadow(struct mhv_processor *processor, struct mhv_shadow_service *service)
{
    service->next = processor->shadows;
    processor->shadows = service;
}

void mhv_processor_remove_shadow(struct mhv_processor *processor,
                                 struct mhv_shadow_service *service)
{
    struct mhv_shadow_service **link = &processor->shadows;

    if (processor->missed == service)
        processor->missed = NULL;

    while (*link && *link != service)
        link = &(*link)->next;
    if (*link)
        *link = service->next;
}

void mhv_processor_set_walker(struct mhv_processor *processor, const struct mhv_walker *walker)
{
    processor->foreign_walker = walker->walk;
    processor->walker = walker->walk ? *walker : (struct mhv_walker){native_walk, processor};
}

void mhv_processor_set_caches(struct mhv_processor *processor, bool caches)
{
    processor->caches = caches;
}

void mhv_processor_set_tlb(struct mhv_processor *processor, struct mhv_tlb *tlb)
{
    processor->tlb = tlb;
}

int mhv_processor_engine_error(const struct mhv_processor *processor)
{
    return processor->engine_error;
}

bool mhv_processor_is_executing(const struct mhv_processor *processor)
{
    return processor->executing;
}

void mhv_processor_flush(struct mhv_processor *processor)
{
    processor->walk_cache = (struct mhv_walk_cache){0};
    if (processor->tlb)
        mhv_tlb_flush_all(processor->tlb);
    mhv_flush_tlb(processor);
}

struct mhv_vp *mhv_vp_create(struct mhv_processor *processor, uint64_t vmcb_spa)
{
    struct mhv_vp *vp = calloc(1, sizeof *vp);

    if (!vp || vmcb_spa + sizeof(struct mhv_vmcb) > processor->ram.byte_count ||
        processor->api.context_alloc(processor->engine, &vp->context) != MHV_UC_OK) {
        free(vp);
        return NULL;
    }
    vp->vmcb = (struct mhv_vmcb *)(void *)(processor->ram.bytes + vmcb_spa);
    vp->vmcb_spa = vmcb_spa;
    vp->reload = true;
    memcpy(mhv_silicon_of(vp->context), mhv_silicon_of(processor->host_context),
           sizeof(struct mhv_silicon));
    return vp;
}

void mhv_vp_destroy(struct mhv_processor *processor, struct mhv_vp *vp)
{
    if (!vp)
        return;
    if (processor->vp == vp)
        processor->vp = NULL;
    processor->api.context_free(vp->context);
    free(vp);
}
