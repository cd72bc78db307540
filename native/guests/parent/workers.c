// Worker processes, and their turns.

#include "parent/workers.h"
#include "lib/cpu.h"
#include "lib/hypercall.h"
#include "lib/memory.h"
#include "lib/page_table.h"
#include "lib/rings.h"
#include "parent/gate.h"
#include "parent/intercepts.h"
#include "parent/orders.h"
#include "parent/user.h"
#include <stddef.h>

// The frames of a worker: four tables, as page_tables_create takes them, and then these.
enum worker_frame { FRAME_KERNEL_STACK = 4, FRAME_USER_STACK, FRAME_MAILBOX, FRAME_COUNT };
enum { PAGE_BYTES = 4096, WORKER_BYTES = FRAME_COUNT * PAGE_BYTES };

// The mailbox: the message at its begin, and further on the input of HvSetVpRegisters, of which the
// kernel writes the header and the worker's logic the elements.
enum {
    REPLY_OFFSET = 512,
    REPLY_HEADER_BYTES = 16,
    REPLY_ELEMENT_BYTES = 32,
    MOST_ELEMENTS = (PAGE_BYTES - REPLY_OFFSET - REPLY_HEADER_BYTES) / REPLY_ELEMENT_BYTES,
    HV_SET_VP_REGISTERS = 0x51,
};
static const uint64_t ORDERS_WAIT = UINT64_C(1) << 32; // in the gate's answer, above the count

static const uint64_t USER_TEXT = 0x400000000000; // ring 3 sees its pages from here on,
static const uint64_t USER_STACK =
    0x400000100000; // in a part of the tables that the kernel has not

struct reply {
    uint64_t partition;
    uint32_t vp_index, zero;
};

struct worker {
    bool used, ready, is_queued, answers;
    struct worker *behind; // in the queue
    uint64_t child, root;
    uint8_t *frames;
    struct trap_frame *frame;
    struct intercept_queue waiting;
};

uint64_t ring_changes;
static struct worker workers[WORKER_COUNT];
static struct vp_area *area_of_vp;
static uint64_t kernel_root;
static struct worker *queue_first; // those that may run, each once, and some that no longer may
static struct worker *queue_last;

uint64_t workers_begin(struct vp_area *area, uint64_t root, uint64_t frames)
{
    area_of_vp = area;
    kernel_root = root;
    intercepts_begin();
    for (uint32_t i = 0; i < WORKER_COUNT; i++)
        workers[i].frames = (uint8_t *)frames + (uint64_t)i * WORKER_BYTES;
    syscall_enable(syscall_entry, RFLAGS_DF | RFLAGS_IF | RFLAGS_TF);
    return frames + (uint64_t)WORKER_COUNT * WORKER_BYTES;
}

static struct worker *worker_of(uint64_t child)
{
    for (uint32_t i = 0; i < WORKER_COUNT; i++)
        if (workers[i].used && workers[i].child == child)
            return &workers[i];
    return NULL;
}

static uint8_t *frame_of(const struct worker *worker, enum worker_frame which)
{
    return worker->frames + (uint64_t)which * PAGE_BYTES;
}

static void build_tables(struct worker *worker)
{
    struct page_tables tables = page_tables_create(4, (uint64_t)worker->frames);
    const uint64_t stack = (uint64_t)frame_of(worker, FRAME_USER_STACK);

    ((uint64_t *)tables.root)[0] = ((uint64_t *)kernel_root)[0]; // the kernel's half
    for (const uint8_t *page = user_text_begin; page < user_text_end; page += PAGE_BYTES)
        map_page(&tables, USER_TEXT + (uint64_t)(page - user_text_begin), (uint64_t)page, PAGE_4K,
                 PAGE_USER);
    map_page(&tables, USER_STACK, stack, PAGE_4K, PAGE_USER | PAGE_WRITABLE | PAGE_NO_EXECUTE);
    worker->root = tables.root;
}

static void enqueue(struct worker *worker)
{
    worker->is_queued = true;
    worker->behind = NULL;
    if (queue_first == NULL)
        queue_first = worker;
    else
        queue_last->behind = worker;
    queue_last = worker;
}

static struct worker *dequeue(void)
{
    struct worker *worker = queue_first;

    if (worker != NULL) {
        queue_first = worker->behind;
        worker->is_queued = false;
    }
    return worker;
}

static void set_ready(struct worker *worker, bool ready)
{
    worker->ready = ready;
    if (ready && !worker->is_queued)
        enqueue(worker);
}

uint64_t worker_start(uint64_t child)
{
    struct worker *worker = workers;

    while (worker->used)
        if (++worker == workers + WORKER_COUNT)
            return WORKER_NONE;
    worker->used = true;
    worker->answers = false;
    set_ready(worker, true);
    worker->child = child;
    build_tables(worker);
    uint8_t *mailbox = frame_of(worker, FRAME_MAILBOX);
    memset(mailbox, 0, PAGE_BYTES);
    worker->frame = (struct trap_frame *)frame_of(worker, FRAME_USER_STACK) - 1;
    *worker->frame = (struct trap_frame){
        .rip = USER_TEXT + (uint64_t)(worker_begin - user_text_begin),
        .cs = SELECTOR_CODE3,
        .rflags = RFLAGS_FIXED | RFLAGS_IF,
        .rsp = USER_STACK + PAGE_BYTES,
        .ss = SELECTOR_DATA3,
        .rbx = (uint64_t)mailbox,
        .rbp = PAGE_BYTES,
    };
    return (uint64_t)mailbox;
}

static void end_worker(struct worker *worker)
{
    struct synic_message forgotten;

    while (intercept_take(&worker->waiting, &forgotten))
        continue;
    if (read_cr3() == worker->root)
        write_cr3(kernel_root);
    worker->used = false;
    set_ready(worker, false);
}

void worker_stop(uint64_t child)
{
    struct worker *worker = worker_of(child);

    if (worker != NULL)
        end_worker(worker);
}

// A worker that waits gets the oldest message into its mailbox, if there is one, and may run.
static void next_message(struct worker *worker)
{
    struct synic_message *mailbox = (struct synic_message *)frame_of(worker, FRAME_MAILBOX);

    worker->answers = intercept_take(&worker->waiting, mailbox);
    set_ready(worker, worker->answers);
}

bool worker_post(const struct synic_message *message)
{
    struct worker *worker = worker_of(message->origin);

    if (worker == NULL)
        return true; // its child is being deleted, and nobody answers any more
    if (!intercept_put(&worker->waiting, message))
        return false;
    if (!worker->ready)
        next_message(worker);
    return true;
}

// The worker's logic left `count` registers in the mailbox: the VP that waits gets them.
static void give_registers(const struct worker *worker, uint64_t count)
{
    uint8_t *mailbox = frame_of(worker, FRAME_MAILBOX);
    struct reply *reply = (struct reply *)(mailbox + REPLY_OFFSET);

    *reply =
        (struct reply){worker->child, *(uint32_t *)((struct synic_message *)mailbox)->payload, 0};
    if (hypercall(HV_SET_VP_REGISTERS | count << 32, (uint64_t)reply, 0) << 48 != 0)
        gate_log("HvSetVpRegisters refused the answer of a worker");
}

// SYSCALL: the gate's answer is in RDI, and the next message is wanted.
static void on_syscall(struct worker *worker)
{
    const uint64_t answer = worker->frame->rdi;
    const uint32_t count = (uint32_t)answer;

    if (worker->answers && count > 0 && count <= MOST_ELEMENTS)
        give_registers(worker, count);
    const bool orders_wait = worker->answers && answer >> 32 == ORDERS_WAIT >> 32;
    next_message(worker);
    if (orders_wait)
        orders_run(gate(GATE_NEXT_ORDER, NULL, 0));
}

static void on_death(struct worker *worker)
{
    const uint64_t death[4] = {worker->child, worker->frame->vector, worker->frame->rip,
                               read_cr2()};

    struct synic_message unanswered = *(struct synic_message *)frame_of(worker, FRAME_MAILBOX);
    struct intercept_queue waiting = worker->waiting;
    const bool answered = !worker->answers;

    worker->waiting = (struct intercept_queue){NULL, NULL};
    end_worker(worker);
    orders_run(gate(GATE_WORKER_DIED, death, sizeof(death)));
    struct worker *heir = worker_of(death[0]);
    if (heir != NULL && !answered && !intercept_put(&heir->waiting, &unanswered))
        gate_log("the intercept that a worker died of is lost");
    while (intercept_take(&waiting, &unanswered))
        if (heir != NULL)
            intercept_put(&heir->waiting, &unanswered);
}

static void run(struct worker *worker)
{
    user_frame_end = (uint64_t)(worker->frame + 1);
    area_of_vp->task_state.rsp[0] = user_frame_end;
    if (read_cr3() != worker->root)
        write_cr3(worker->root);
    ring_changes++;
    enter_user(worker->frame);
    ring_changes++;
    if (worker->frame->vector == VECTOR_SYSCALL)
        on_syscall(worker);
    else if (worker->frame->vector < WAKE_VECTOR)
        on_death(worker);
}

bool workers_run(void)
{
    struct worker *worker;

    while ((worker = dequeue()) != NULL) {
        if (!worker->ready)
            continue;
        run(worker);
        set_ready(worker, worker->ready); // one that was interrupted waits for its next turn
        return true;
    }
    return false;
}
