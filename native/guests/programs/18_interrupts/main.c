// Takes interrupts of every kind that needs no other partition: synthetic timers, messages, masks,
// priorities, and interrupts that the VP sends itself.

#include "lib/apic.h"
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/hypercall.h"
#include "lib/memory.h"
#include "lib/synic.h"
#include "lib/timer.h"
#include "lib/traps.h"

enum {
    TIMER_SINT = 3,
    QUIET_SINT = 4,
    TIMER_VECTOR = 0x60,
    DIRECT_VECTOR = 0x61,
    QUIET_VECTOR = 0x62,
    LOW_VECTOR = 0x70,
    HIGH_VECTOR = 0x80,
    MILLISECOND = 10000, // in units of 100 ns
    TICK_COUNT = 5,
};

static struct vp_area area;
static struct synic synic;

// What the handlers saw; they run only while the program waits.
static volatile uint32_t taken[256]; // by vector
static volatile uint32_t tick_count, early_count;
static volatile uint64_t last_due;

static struct timer_message timer_message_of(const struct synic_message *message)
{
    struct timer_message timer;

    memcpy(&timer, message->payload, sizeof(timer));
    return timer;
}

static void on_timer(struct trap_frame *frame)
{
    struct synic_message message;

    taken[frame->vector]++;
    while (synic_read_message(TIMER_SINT, &message)) {
        const struct timer_message timer = timer_message_of(&message);
        tick_count += message.type == (uint32_t)MESSAGE_TIMER_EXPIRED;
        early_count += timer.delivered < timer.due || reference_time() < timer.due;
        last_due = timer.due;
    }
}

static void on_vector(struct trap_frame *frame)
{
    taken[frame->vector]++;
    apic_eoi();
}

static void write_bad_vector(uint64_t sint)
{
    sint_set((uint32_t)sint, 15, 0);
}

static void look_at_registers(void)
{
    expect_equal("version of the SynIC", rdmsr(MSR_SVERSION), 1);
    expect_equal("SINT 3 at first", rdmsr(MSR_SINT0 + TIMER_SINT), SINT_MASKED);
    const struct trap trap = attempt(write_bad_vector, TIMER_SINT);
    expect_trap("a vector below 16", &trap, (struct expected_trap){.vector = VECTOR_GP});
    synic_enable(&synic);
    sint_set(TIMER_SINT, TIMER_VECTOR, SINT_AUTO_EOI);
    expect_equal("SINT 3", rdmsr(MSR_SINT0 + TIMER_SINT), TIMER_VECTOR | SINT_AUTO_EOI);
}

static void wait_for_ticks(uint32_t count)
{
    while (tick_count < count)
        wait_for_interrupt();
}

static void take_one_shot(void)
{
    const uint64_t due = reference_time() + MILLISECOND;

    timer_at(0, due, TIMER_SINT);
    expect_true("the timer is armed", timer_is_enabled(0));
    wait_for_ticks(1);
    expect_true("a message of the timer came", last_due == due);
    expect_equal("interrupts for it", taken[TIMER_VECTOR], 1);
    expect_true("the timer is done", !timer_is_enabled(0));
}

static void take_ticks(void)
{
    tick_count = 0;
    timer_every(1, MILLISECOND, TIMER_SINT);
    wait_for_ticks(TICK_COUNT);
    timer_stop(1);
    expect_equal("ticks of a period", tick_count, TICK_COUNT);
    expect_equal("ticks that came early", early_count, 0);
}

// The slot of a masked SINT is filled, and nothing is raised. A second message waits for the slot,
// and says so in the flags of the first.
static void look_without_interrupts(void)
{
    const uint64_t now = reference_time();
    volatile uint8_t *flags = &synic.messages[QUIET_SINT].flags;
    struct synic_message message = {.type = MESSAGE_NONE};

    set_trap_handler(QUIET_VECTOR, on_vector);
    sint_set(QUIET_SINT, QUIET_VECTOR, SINT_MASKED);
    tick_count = 0;
    timer_at(2, now + MILLISECOND, QUIET_SINT);
    timer_at(3, now + 2 * MILLISECOND, QUIET_SINT);
    timer_at(0, now + 3 * MILLISECOND, TIMER_SINT);
    wait_for_ticks(1);
    expect_equal("interrupts of a masked SINT", taken[QUIET_VECTOR], 0);
    expect_equal("flags of its message, another waits", *flags, MESSAGE_PENDING);
    expect_true("the message is there", synic_read_message(QUIET_SINT, &message));
    expect_equal("it is of timer", timer_message_of(&message).timer, 2);
    expect_true("EOM brought the other", synic_read_message(QUIET_SINT, &message));
    expect_equal("it is of timer", timer_message_of(&message).timer, 3);
    expect_true("the slot is empty", !synic_read_message(QUIET_SINT, &message));
}

static void take_directly(void)
{
    set_trap_handler(DIRECT_VECTOR, on_vector);
    timer_direct_at(0, reference_time() + MILLISECOND, DIRECT_VECTOR);
    while (taken[DIRECT_VECTOR] == 0)
        wait_for_interrupt();
    expect_equal("interrupts of a timer in direct mode", taken[DIRECT_VECTOR], 1);
    expect_equal("message slot that it used", synic.messages[0].type, MESSAGE_NONE);
}

static volatile uint32_t order; // of the two vectors, the first in the higher byte

static void on_ordered(struct trap_frame *frame)
{
    order = order << 8 | (uint32_t)frame->vector;
    on_vector(frame);
}

static void send_to_itself(void)
{
    set_trap_handler(LOW_VECTOR, on_ordered);
    set_trap_handler(HIGH_VECTOR, on_ordered);
    apic_send_self(LOW_VECTOR);
    apic_send(0, HIGH_VECTOR);
    expect_equal("interrupts while IF is 0", order, 0);
    let_interrupts_in();
    expect_equal("the higher vector came first", order, HIGH_VECTOR << 8 | LOW_VECTOR);
    order = 0;
    apic_set_priority(LOW_VECTOR);
    apic_send_self(LOW_VECTOR);
    apic_send_self(HIGH_VECTOR);
    let_interrupts_in();
    expect_equal("above the task priority", order, HIGH_VECTOR);
    apic_set_priority(0);
    let_interrupts_in();
    expect_equal("and the other, once it was lowered", order, HIGH_VECTOR << 8 | LOW_VECTOR);
}

static void on_nested(struct trap_frame *frame)
{
    (void)frame;
    apic_send_self(LOW_VECTOR);
    let_interrupts_in();
    expect_equal("a lower vector before the EOI", order, 0);
    apic_eoi();
    let_interrupts_in();
    expect_equal("and after it", order, LOW_VECTOR);
}

static void serve_before_the_end(void)
{
    order = 0;
    set_trap_handler(HIGH_VECTOR, on_nested);
    apic_send_self(HIGH_VECTOR);
    let_interrupts_in();
}

void guest_main(const struct boot_info *info)
{
    (void)info;
    descriptors_install(&area);
    apic_enable();
    set_trap_handler(TIMER_VECTOR, on_timer);
    look_at_registers();
    take_one_shot();
    take_ticks();
    look_without_interrupts();
    take_directly();
    send_to_itself();
    serve_before_the_end();
    synic_disable();
}
