// Uses the chips of a PC as a system does that has never heard of a hypervisor: first through the
// old interrupt controllers, and then through the I/O APIC.

#include "chips.h"
#include "lib/apic.h"
#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/descriptors.h"
#include "lib/expect.h"
#include "lib/ide.h"
#include "lib/io_apic.h"
#include "lib/page_table.h"
#include "lib/pic.h"
#include "lib/timer.h"
#include "lib/traps.h"

enum line { TIMER = 0, KEYBOARD = 1, SERIAL = 4, CLOCK = 8, DISK = 14 };
enum { TIMER_PIN = 2 };
enum { FIRST_VECTOR = 0x30, EDGE_VECTOR = 0x61, LEVEL_VECTOR = 0x62, MILLISECOND = 10000 };
enum { DISK_CONTROL = 0x3F6, DISK_STATUS = 0x1F7, DISK_QUIET = 2, DISK_FLUSH = 0xEA };
enum { TICKS = 5, CLOCK_TICKS = 3, ENDS = 3 };

static struct vp_area area;

// What the handlers saw; they run only while the program waits.
static volatile uint32_t taken[PIC_LINES], by_io_apic[2];
static volatile uint64_t first_tick, last_tick;
static volatile uint8_t scan_code, clock_flags;

static void look_after(uint32_t line)
{
    if (line == TIMER) {
        last_tick = reference_time();
        first_tick = taken[line] == 0 ? last_tick : first_tick;
    } else if (line == KEYBOARD) {
        scan_code = keyboard_read();
    } else if (line == SERIAL) {
        serial_cause();
    } else if (line == CLOCK) {
        clock_flags |= clock_take_flags();
    } else if (line == DISK) {
        inb(DISK_STATUS); // which lowers the line
    }
    taken[line]++;
}

static void on_line(struct trap_frame *frame)
{
    const uint32_t line = (uint32_t)frame->vector - FIRST_VECTOR;

    look_after(line);
    pic_eoi(line);
}

static void on_io_apic(struct trap_frame *frame)
{
    const bool is_level = frame->vector == LEVEL_VECTOR;

    if (is_level)
        serial_cause();
    by_io_apic[is_level]++;
    apic_eoi();
}

static void wait_for(volatile uint32_t *count, uint32_t wanted)
{
    while (*count < wanted)
        wait_for_interrupt();
}

// The old controllers.

static void use_timer(void)
{
    timer_every_millisecond();
    pic_unmask(TIMER);
    wait_for(&taken[TIMER], TICKS);
    pic_mask(TIMER);
    const uint64_t passed = last_tick - first_tick;
    expect_true("ticks of the timer are a millisecond apart",
                passed > (TICKS - 1) * MILLISECOND * 9 / 10 &&
                    passed < (TICKS - 1) * MILLISECOND * 11 / 10);
}

static void use_keyboard(void)
{
    expect_equal("self test of the keyboard controller", keyboard_self_test(), 0x55);
    pic_unmask(KEYBOARD);
    keyboard_echo(0x1E);
    wait_for(&taken[KEYBOARD], 1);
    pic_mask(KEYBOARD);
    expect_equal("scan code", scan_code, 0x1E);
}

static void use_clock(void)
{
    expect_true("the clock shows a year from 2026 on", clock_year() >= 2026);
    pic_unmask(CLOCK);
    clock_begin_ticks();
    wait_for(&taken[CLOCK], CLOCK_TICKS);
    clock_end_ticks();
    pic_mask(CLOCK);
    expect_true("the clock says that it ticked", clock_flags & CLOCK_TICKED);
}

static void use_serial_port(void)
{
    pic_unmask(SERIAL);
    serial_begin();
    serial_want_room();
    wait_for(&taken[SERIAL], 1);
    pic_mask(SERIAL);
    serial_print("This line went through the serial port.\n");
    expect_equal("byte that came back", serial_loop(0x5A), 0x5A);
}

static void use_disk(void)
{
    struct ide_disk disk;

    outb(DISK_CONTROL, DISK_QUIET);
    if (ide_find(&disk, 0) != IDE_DONE)
        return;
    pic_unmask(DISK);
    outb(DISK_CONTROL, 0);
    ide_command(&disk, DISK_FLUSH);
    wait_for(&taken[DISK], 1);
    pic_mask(DISK);
    expect_equal("flushes that the disk told of", taken[DISK], 1);
}

// The I/O APIC.

static void route_by_edge(void)
{
    io_apic_route(TIMER_PIN, EDGE_VECTOR, IO_APIC_EDGE, 0);
    wait_for(&by_io_apic[0], TICKS);
    io_apic_mask(TIMER_PIN);
    expect_true("ticks by the I/O APIC", by_io_apic[0] >= TICKS);
}

// The line of the serial port is high as soon as there is room, and low when the handler has asked
// why.
static void route_by_level(void)
{
    io_apic_route(SERIAL, LEVEL_VECTOR, IO_APIC_LEVEL, 0);
    for (uint32_t end = 1; end <= ENDS; end++) {
        serial_want_room();
        wait_for(&by_io_apic[1], end);
    }
    io_apic_mask(SERIAL);
    expect_equal("interrupts by level", by_io_apic[1], ENDS);
}

static void use_io_apic(const struct boot_info *info)
{
    struct page_tables tables = page_tables_create(4, info->image_end);

    map_identity(&tables, info->memory_bytes);
    map_page(&tables, IO_APIC_GPA, IO_APIC_GPA, PAGE_4K, PAGE_WRITABLE);
    write_cr3(tables.root);
    apic_enable();
    expect_equal("version of the I/O APIC", io_apic_version(), 0x11);
    expect_equal("its pins", io_apic_pin_count(), 24);
    route_by_edge();
    route_by_level();
}

void guest_main(const struct boot_info *info)
{
    descriptors_install(&area);
    for (uint32_t line = 0; line < PIC_LINES; line++)
        set_trap_handler((uint8_t)(FIRST_VECTOR + line), on_line);
    set_trap_handler(EDGE_VECTOR, on_io_apic);
    set_trap_handler(LEVEL_VECTOR, on_io_apic);
    screen_print(0, "minihv: the chips of a PC");
    if (!expect_true("there are two interrupt controllers", pic_begin(FIRST_VECTOR)))
        return;
    use_timer();
    use_keyboard();
    use_clock();
    use_serial_port();
    use_disk();
    use_io_apic(info);
    screen_print(1, "All have been used.");
}
