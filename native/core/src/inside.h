// The inside of a processor, shared by the files that make it up. Private.
//
// First reading: run.c (the loop), then switch.c (world switch), fill.c (TLB misses), trap.c (what
// the engine reports), deliver.c (exception frames), microcode.c (instructions the engine leaves to
// us).
#ifndef MINIHV_INSIDE_H
#define MINIHV_INSIDE_H
#include "minihv/decode.h"
#include "minihv/guard.h"
#include "minihv/processor.h"
#include "minihv/silicon.h"
#include "minihv/svm.h"
#include "minihv/x86.h"

#include <stdatomic.h>

enum { PAGE_SHIFT = 12, PAGE_BYTES = 4096, INSTRUCTION_BYTES = 15 };
enum { MHV_FORGET_PAGE_AT = 0x300 }; // in the stub's page: INVLPGA
static const uint64_t MHV_STUB_PAGE =
    UINT64_C(0x00C0FFED) << 36; // a GVA no format translates: the stub's page, beside a guest's
static const uint64_t ROOT_UNKNOWN = UINT64_MAX - 1; // of shadow tables: somebody has to ask
enum { EMULATED_SHIFT = 39 }; // engine-physical address from which memory is written by exits
enum { PHYSICAL_BITS = 40 };  // of the emulated processor: CPUID leaf 0x80000008

// Masks of the bits that microcode looks at.
static const uint64_t CR0_PG = UINT64_C(1) << 31;
enum {
    CR0_PE = 1 << MHV_CR0_PE,
    CR0_TS = 1 << MHV_CR0_TS,
    CR0_WP = 1 << MHV_CR0_WP,
    CR4_PAE = 1 << MHV_CR4_PAE,
    CR4_LA57 = 1 << MHV_CR4_LA57,
    CR4_SMEP = 1 << MHV_CR4_SMEP,
    CR4_SMAP = 1 << MHV_CR4_SMAP,
    EFER_SCE = 1 << MHV_EFER_SCE,
    EFER_LME = 1 << MHV_EFER_LME,
    EFER_LMA = 1 << MHV_EFER_LMA,
    EFER_NXE = 1 << MHV_EFER_NXE,
    EFER_SVME = 1 << MHV_EFER_SVME,
    DR6_BS = 1 << MHV_DR6_BS,
    RFLAGS_ZF = 1 << MHV_RFLAGS_ZF,
    RFLAGS_TF = 1 << MHV_RFLAGS_TF,
    RFLAGS_IF = 1 << MHV_RFLAGS_IF,
    RFLAGS_NT = 1 << MHV_RFLAGS_NT,
    RFLAGS_VM = 1 << MHV_RFLAGS_VM,
    RFLAGS_RF = 1 << MHV_RFLAGS_RF,
    RFLAGS_AC = 1 << MHV_RFLAGS_AC,
};

// What made the engine stop, or would not let it go on. Set by the hooks, read by the loop.
enum event_kind {
    EVENT_NONE,
    EVENT_BUDGET,  // at the start of a block: the budget is used up
    EVENT_WINDOW,  // at the start of a block: a pending interrupt may be delivered
    EVENT_STEPPED, // at the start of a block: the single step is done
    EVENT_PEEKED,  // at the start of a block whose size was asked for
    EVENT_WATCHED, // at the start of a block in which the watched address lies
    EVENT_TRAP,    // an intercept or an exception: `trap` is the engine's number for it
    EVENT_FAULT,   // a TLB miss that the walk refuses: `fault` says how
    EVENT_FLIP,    // a write to a frame with translated blocks: drop them, then go on
    EVENT_EMULATE, // a write that ring -1 makes, to a frame whose translated blocks are in use
    EVENT_SUSPECT, // a fetch from a frame whose code could kill the engine: go on one by one
    EVENT_SYSCALL,
    EVENT_SYSENTER,
    EVENT_PORT,
};

struct event {
    enum event_kind kind;
    uint32_t trap;
    uint64_t frame;                 // FLIP
    uint64_t block, block_bytes;    // PEEKED
    struct mhv_walk_result fault;   // FAULT
    struct mhv_access fault_access; // FAULT
    uint64_t fault_page;            // FAULT: page of the address, where no full address is known
};

// Whose code the engine executes.
enum phase {
    PHASE_GUEST,
    PHASE_STUB,    // ring -1's entry stub, in host mode
    PHASE_ENTERED, // VMRUN has been executed, the guest has not begun
};

enum step_phase {
    STEP_NONE,
    STEP_PEEK,  // stop at the first block, before it
    STEP_FIRST, // let one block (of one instruction) begin
    STEP_LAST,  // stop at the next
};

// Where the bytes of an exiting instruction were found, so that the next exit there need not walk.
// True until code is fetched through a new translation, and of as many bytes as are still there.
enum { SEEN_COUNT = 64 };
struct seen {
    uint64_t rip;
    uint64_t spa;
    uint64_t fetch_fills;
};

struct mhv_processor {
    uint64_t blocks;  // begun so far by the current VP
    uint64_t stop_at; // the block hook looks closer when `blocks` reaches it
    uint64_t limit;   // end of the budget
    struct mhv_engine_api api;
    void *engine;
    struct mhv_memory *memory;
    struct mhv_ram ram;
    const struct mhv_silicon *live; // the engine's registers, as they are now; NULL: ask the engine
    struct mhv_walker walker;
    struct mhv_paging guest;          // of the VP, since it was entered
    struct mhv_paging one_stage;      // shadow paging: what steers the walk in its place
    struct mhv_tlb *tlb;              // modelled, in front of the walk; NULL: there is none
    struct mhv_walk_cache walk_cache; // of the native walker; emptied by mhv_processor_flush
    bool foreign_walker;              // `walker` is not the native one
    bool caches;                      // of the native walker are in use
    uint32_t paging_mode;
    uint64_t stub_spa;     // page of the entry stub; the effective VMCB is the next one
    void *host_context;    // ring -1, about to execute the stub
    struct mhv_vp *vp;     // whose state the engine holds, or NULL
    atomic_bool executing; // from mhv_begin to mhv_finish; other threads may ask
    enum phase phase;
    enum step_phase step;
    bool step_began; // the last single step got as far as its block
    struct event event;
    bool stop_on_window;    // a virtual interrupt is pending
    bool in_shadow;         // and the block that begins first lies in an interrupt shadow
    bool stepping_emulated; // EVENT_EMULATE: executing the one instruction that writes
    uint64_t emulated_rip, emulated_block; // of the instruction that ring -1 wrote for last
    uint64_t emulated_entry;               // that it wrote last: an SPA
    struct mhv_shadow_service *shadows;    // of all partitions
    struct mhv_shadow_service *missed;     // of a partition that wrote where nobody listened
    bool stepping_suspects;                // guard: executing one instruction per block
    bool aborting;                         // an instruction is being abandoned in favour of `event`
    uint64_t aborted_rcx;
    uint64_t dropping_frame; // SPA page + 1 of the frame whose blocks are being dropped
    uint64_t writes_seen;    // of memory->write_count, by mhv_drop_stale
    uint64_t
        invalid_address_offset; // where the engine keeps the address of its last refused access
    struct seen seen[SEEN_COUNT];
    uint64_t large_begin, large_last; // GVAs that the large pages in the engine's TLB span
    uint64_t fetch_fills;             // translations of code that the engine was given so far
    uint64_t block_begin, block_end;  // single steps: the block that is being stepped through
    uint64_t block_next, block_print;
    uint32_t epoch; // of the flip budget
    int engine_error;
};

// An exception, an interrupt, or INT n on its way through the guest's IDT.
enum delivery_type {
    DELIVER_INTERRUPT = 0,
    DELIVER_NMI = 2,
    DELIVER_EXCEPTION = 3,
    DELIVER_SOFTWARE = 4
};
struct delivery {
    uint8_t vector;
    uint8_t type; // as EVENTINJ's TYPE field
    bool has_error_code;
    uint32_t error_code;
    uint64_t cr2;      // #PF
    uint64_t next_rip; // SOFTWARE: of the instruction after
};

enum { TRACE_MARGIN = 2048 }; // events that one turn of the loop may add at most

// What the loop does after an event was handled.
enum next { NEXT_GO_ON, NEXT_EXIT, NEXT_ENGINE, NEXT_WATCHED, NEXT_DELIVERED };

// A guest memory access of the processor itself. MHV_MAPPED, or why not (with `fault` filled in).
struct touch {
    struct mhv_walk_result result;
    struct mhv_access access;
    uint64_t gva;
};

// switch.c, trace.c
bool mhv_world_switch(struct mhv_processor *processor, struct mhv_vp *vp);
void mhv_publish(struct mhv_vp *vp);
void mhv_take_edits(struct mhv_vp *vp);
void mhv_tell(struct mhv_vp *vp, uint64_t blocks, uint32_t kind, uint64_t rip, uint64_t a,
              uint64_t b, uint64_t c);
bool mhv_trace_is_full(const struct mhv_vp *vp);
void mhv_exit(struct mhv_vp *vp, uint64_t blocks, uint64_t code, uint64_t info_1, uint64_t info_2);

// run.c
bool mhv_enter_and_leave(struct mhv_processor *processor, struct mhv_vp *vp,
                         struct mhv_silicon *silicon);
enum next mhv_handle(struct mhv_processor *processor, struct mhv_vp *vp,
                     struct mhv_silicon *silicon);
enum next mhv_offer_interrupt(struct mhv_processor *processor, struct mhv_vp *vp,
                              struct mhv_silicon *silicon);
enum next mhv_begin(struct mhv_processor *processor, struct mhv_vp *vp);
enum mhv_stop mhv_finish(struct mhv_processor *processor, struct mhv_vp *vp, enum next next);

// step.c
bool mhv_is_inside_block(const struct mhv_processor *processor, const struct mhv_silicon *silicon);
bool mhv_step_once(struct mhv_processor *processor, struct mhv_vp *vp, struct mhv_silicon *silicon);

// live.c
const struct mhv_silicon *mhv_find_live(struct mhv_processor *processor);

// fill.c
bool mhv_on_fill(void *engine, uint64_t gva, int type, struct mhv_engine_fill *fill, void *user);
void mhv_drop_blocks(struct mhv_processor *processor, uint64_t frame);
void mhv_drop_stale(struct mhv_processor *processor);

// modelled.c
void mhv_modelled_walk(struct mhv_processor *processor, const struct mhv_paging *first,
                       const struct mhv_paging *second, uint64_t gva, struct mhv_access access,
                       struct mhv_walk_result *ret);

// shadow_exits.c
void mhv_shadow_walk(struct mhv_processor *processor, const struct mhv_paging *guest, uint64_t gva,
                     struct mhv_access access, struct mhv_walk_result *ret);
enum next mhv_shadow_exit(struct mhv_processor *processor, struct mhv_vp *vp,
                          struct mhv_silicon *silicon, uint32_t code);
bool mhv_is_shadow_exit(const struct mhv_vp *vp, uint32_t code);
void mhv_tell_shadows(struct mhv_processor *processor);
void mhv_miss_writes(struct mhv_processor *processor);
void mhv_drop_missed(struct mhv_processor *processor);
uint64_t mhv_on_emulated_read(void *engine, uint64_t spa, unsigned int byte_count, void *user);
void mhv_on_emulated_write(void *engine, uint64_t spa, unsigned int byte_count, uint64_t value,
                           void *user);

// operand.c
bool mhv_memory_operand(const struct mhv_silicon *silicon,
                        const struct mhv_instruction *instruction, uint64_t *gva);

// flush.c
void mhv_flush_tlb(struct mhv_processor *processor);
void mhv_flush_page(struct mhv_processor *processor, uint64_t gva);
void mhv_invalidate_all(struct mhv_processor *processor, const struct mhv_vp *vp, bool globally);
void mhv_invalidate_address(struct mhv_processor *processor, const struct mhv_vp *vp, uint64_t gva);
void mhv_remember_large_page(struct mhv_processor *processor, uint64_t gva, uint64_t page_bytes);
enum next mhv_invalidate_page(struct mhv_processor *processor, struct mhv_vp *vp,
                              struct mhv_silicon *silicon);

// trap.c
void mhv_on_block(void *engine, uint64_t address, uint32_t byte_count, void *user);
void mhv_on_trap(void *engine, uint32_t number, void *user);
uint32_t mhv_on_in(void *engine, uint32_t port, int byte_count, void *user);
void mhv_on_out(void *engine, uint32_t port, int byte_count, uint32_t value, void *user);
void mhv_on_syscall(void *engine, void *user);
void mhv_on_sysenter(void *engine, void *user);

// translate.c
struct mhv_paging mhv_guest_paging(const struct mhv_silicon *silicon);
struct mhv_paging mhv_second_paging(const struct mhv_vp *vp);
void mhv_translate(struct mhv_processor *processor, const struct mhv_silicon *silicon, uint64_t gva,
                   struct mhv_access access, struct mhv_walk_result *ret);
bool mhv_guest_read(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                    uint64_t gva, struct mhv_access access, void *target, uint32_t byte_count,
                    struct touch *touch);
bool mhv_guest_write(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                     uint64_t gva, struct mhv_access access, const void *source,
                     uint32_t byte_count, struct touch *touch);
bool mhv_instruction_at(struct mhv_processor *processor, const struct mhv_silicon *silicon,
                        struct mhv_instruction *ret, uint8_t *bytes);
uint32_t mhv_cpl(const struct mhv_silicon *silicon);
bool mhv_in_long_code(const struct mhv_silicon *silicon);
enum mhv_code_size mhv_code_size(const struct mhv_silicon *silicon);
uint64_t mhv_code_address(const struct mhv_silicon *silicon, uint64_t rip);
uint64_t mhv_address_mask(const struct mhv_silicon *silicon,
                          const struct mhv_instruction *instruction);

// deliver.c
bool mhv_is_canonical(const struct mhv_silicon *silicon, uint64_t gva);
enum next mhv_deliver(struct mhv_processor *processor, struct mhv_vp *vp,
                      struct mhv_silicon *silicon, struct delivery delivery);
enum next mhv_raise(struct mhv_processor *processor, struct mhv_vp *vp, struct mhv_silicon *silicon,
                    uint8_t vector, bool has_error_code, uint32_t error_code);
enum next mhv_refuse(struct mhv_processor *processor, struct mhv_vp *vp,
                     struct mhv_silicon *silicon, const struct touch *touch);

// exits.c
bool mhv_exit_in_core(struct mhv_processor *processor, struct mhv_vp *vp, uint32_t code);
enum next mhv_handle_exit(struct mhv_processor *processor, struct mhv_vp *vp,
                          struct mhv_silicon *silicon, uint32_t code);

// microcode.c
enum next mhv_trap_single_step(struct mhv_processor *processor, struct mhv_vp *vp,
                               struct mhv_silicon *silicon);
enum next mhv_complete(struct mhv_processor *processor, struct mhv_vp *vp,
                       struct mhv_silicon *silicon, uint32_t byte_count);
enum next mhv_syscall(struct mhv_processor *processor, struct mhv_vp *vp,
                      struct mhv_silicon *silicon);
enum next mhv_software_interrupt(struct mhv_processor *processor, struct mhv_vp *vp,
                                 struct mhv_silicon *silicon);
enum next mhv_move_debug(struct mhv_processor *processor, struct mhv_vp *vp,
                         struct mhv_silicon *silicon);
enum next mhv_move_task_priority(struct mhv_processor *processor, struct mhv_vp *vp,
                                 struct mhv_silicon *silicon, bool is_write);
enum next mhv_read_time(struct mhv_processor *processor, struct mhv_vp *vp,
                        struct mhv_silicon *silicon);
uint64_t mhv_tsc(const struct mhv_processor *processor, const struct mhv_vp *vp);

// control.c
enum next mhv_move_control(struct mhv_processor *processor, struct mhv_vp *vp,
                           struct mhv_silicon *silicon, uint32_t number);

// port.c
enum next mhv_port(struct mhv_processor *processor, struct mhv_vp *vp, struct mhv_silicon *silicon);
enum next mhv_finish_port(struct mhv_processor *processor, struct mhv_vp *vp,
                          struct mhv_silicon *silicon);

#endif
