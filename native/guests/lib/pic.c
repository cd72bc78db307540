// Speaks to the interrupt controllers by their ports, each of which is an exit.

#include "lib/pic.h"
#include "lib/cpu.h"

enum { MASTER = 0x20, SLAVE = 0xA0, DATA = 1, LINES_EACH = 8, CASCADE = 2, ALL = 0xFF };
enum { ICW1_INIT = 0x11, ICW4_8086 = 0x01, OCW2_SPECIFIC_EOI = 0x60 };

static void begin(uint16_t ports, uint8_t vector, uint8_t wiring)
{
    outb(ports, ICW1_INIT);
    outb(ports + DATA, vector);
    outb(ports + DATA, wiring);
    outb(ports + DATA, ICW4_8086);
    outb(ports + DATA, ALL);
}

static uint16_t mask_of(uint32_t line)
{
    return (line < LINES_EACH ? MASTER : SLAVE) + DATA;
}

bool pic_begin(uint8_t first_vector)
{
    begin(MASTER, first_vector, 1 << CASCADE);
    begin(SLAVE, first_vector + LINES_EACH, CASCADE);
    pic_unmask(CASCADE);
    return inb(MASTER + DATA) == (uint8_t)~(1 << CASCADE);
}

void pic_unmask(uint32_t line)
{
    outb(mask_of(line), inb(mask_of(line)) & (uint8_t)~(1 << line % LINES_EACH));
}

void pic_mask(uint32_t line)
{
    outb(mask_of(line), inb(mask_of(line)) | (uint8_t)(1 << line % LINES_EACH));
}

void pic_eoi(uint32_t line)
{
    if (line >= LINES_EACH) {
        outb(SLAVE, OCW2_SPECIFIC_EOI | line % LINES_EACH);
        line = CASCADE;
    }
    outb(MASTER, (uint8_t)(OCW2_SPECIFIC_EOI | line));
}
