// The first C of a guest: VP 0 runs guest_main, the others other_vp_main.

#include "lib/boot.h"
#include "lib/console.h"
#include "lib/cpu.h"
#include "lib/expect.h"

_Noreturn void start_vp(const struct boot_info *info, uint32_t vp_index);

__attribute__((weak)) void other_vp_main(const struct boot_info *info, uint32_t vp_index)
{
    (void)info;
    (void)vp_index;
}

_Noreturn void start_vp(const struct boot_info *info, uint32_t vp_index)
{
    if (vp_index != 0) {
        other_vp_main(info, vp_index);
        halt();
    }
    if (info->magic != BOOT_MAGIC) {
        print("There is no info page at the address in RDI.\n");
        shutdown(2);
    }
    guest_main(info);
    finish();
}
