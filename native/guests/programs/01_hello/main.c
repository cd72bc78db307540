// The smallest guest: a sentence on the console, and a halt.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"

void guest_main(const struct boot_info *info)
{
    (void)info;
    print("Hello from ring 0 of a partition.\n");
    halt();
}
