#ifndef MINIHV_PROCESSOR_H
#define MINIHV_PROCESSOR_H
#include "minihv/engine.h"
#include "minihv/memory.h"
#include "minihv/tlb.h"
#include "minihv/vp.h"
#include "minihv/walk.h"
#include <stdbool.h>
#include <stdint.h>

// Why mhv_processor_run came back.
enum mhv_stop {
    MHV_STOP_BUDGET = 0, // the block budget is used up
    MHV_STOP_EXIT = 1,   // a #VMEXIT for the hypervisor; the VMCB says which
    MHV_STOP_ENGINE = 2, // the engine refused; engine_error says why
    MHV_STOP_WATCH = 3,  // about to begin the block in which the watched address lies, or is at it
    MHV_STOP_DELIVERED = 4, // V_IRQ was delivered, and `reports_delivery` asked to be told
};

enum mhv_paging_mode {
    MHV_PAGING_SLAT = 0,     // our two-stage walk serves the engine's TLB misses
    MHV_PAGING_HARDWARE = 1, // the engine's own MMU walks the same tables
    MHV_PAGING_SHADOW = 2,   // our walk of one stage serves them, from tables that ring -1 keeps
};

enum mhv_time {
    MHV_TICKS_PER_BLOCK = 4, // of the TSC, which counts nanoseconds of virtual time
};

// Who answers a TLB miss: the C walk, or the Python reference through a callback. `second` is NULL
// for a walk of one stage, whose tables lead to the SPA.
struct mhv_walker {
    void (*walk)(void *user, const struct mhv_paging *guest, const struct mhv_paging *second,
                 uint64_t gva, const struct mhv_access *access, struct mhv_walk_result *ret);
    void *user;
};

struct mhv_processor;

// An emulated processor over `memory`. At `stub_spa` the hypervisor gave up three frames: the entry
// stub, the effective VMCB, the host save area. `host_root`: host page tables, for hardware paging.
// NULL with *engine_error set when the engine cannot be opened or is not the proven release.
struct mhv_processor *mhv_processor_create(const struct mhv_engine_api *api,
                                           struct mhv_memory *memory, uint32_t paging_mode,
                                           uint64_t stub_spa, uint64_t host_root,
                                           int *engine_error);
void mhv_processor_destroy(struct mhv_processor *processor);
void mhv_processor_set_walker(struct mhv_processor *processor, const struct mhv_walker *walker);

// Whether the native walk uses what earlier ones have learnt. The answers are the same.
void mhv_processor_set_caches(struct mhv_processor *processor, bool caches);

// From now on every page that a block touches is looked up in `tlb`, which must outlive its use
// here. NULL: no more. The counters of fills and references are then those of its misses.
void mhv_processor_set_tlb(struct mhv_processor *processor, struct mhv_tlb *tlb);
int mhv_processor_engine_error(const struct mhv_processor *processor);

// From now on `service` hears what is written to memory. It must outlive its place in the list.
void mhv_processor_add_shadow(struct mhv_processor *processor, struct mhv_shadow_service *service);
void mhv_processor_remove_shadow(struct mhv_processor *processor,
                                 struct mhv_shadow_service *service);

// Whether a VP is being run, stepped, or helped over a port access: nobody may harvest now.
bool mhv_processor_is_executing(const struct mhv_processor *processor);

// A VP whose registers are those of the reset FPU and whatever its VMCB says.
struct mhv_vp *mhv_vp_create(struct mhv_processor *processor, uint64_t vmcb_spa);
void mhv_vp_destroy(struct mhv_processor *processor, struct mhv_vp *vp);

// Runs `vp` until its block counter reaches `until_block`, or until an exit that the core does not
// handle itself. With `watches` set it also stops where a block begins that has `watched_rip` in
// it: single steps from there lead to the address, or out of the block. With `reports_delivery` set
// it stops where V_IRQ was delivered, before the handler's first instruction; so does a step.
enum mhv_stop mhv_processor_run(struct mhv_processor *processor, struct mhv_vp *vp,
                                uint64_t until_block);

// Executes one instruction, or one iteration of a repeated one, with the same effects on every
// counter and on virtual time as mhv_processor_run has.
enum mhv_stop mhv_processor_step(struct mhv_processor *processor, struct mhv_vp *vp);

// Completes the VMCB's state-save area of a VP that has run. Idempotent.
void mhv_vp_save(struct mhv_processor *processor, struct mhv_vp *vp);

// Finishes the port access that made `vp` exit; for IN, port_access.value is delivered first.
// MHV_STOP_BUDGET: done. MHV_STOP_EXIT: the string's memory faulted, and the VMCB or the IDT says
// so.
enum mhv_stop mhv_vp_complete_port(struct mhv_processor *processor, struct mhv_vp *vp);

// Translates as an access of `vp` would, now; nothing but A and D bits changes.
void mhv_vp_translate(struct mhv_processor *processor, struct mhv_vp *vp, uint64_t gva,
                      const struct mhv_access *access, struct mhv_walk_result *ret);

// Forgets every translation. Needed after second-level tables were changed or D bits harvested.
void mhv_processor_flush(struct mhv_processor *processor);

#endif
