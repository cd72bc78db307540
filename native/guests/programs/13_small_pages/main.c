// More pages than a TLB holds, each of 4 KiB.

#include "touch.h"

void guest_main(const struct boot_info *info)
{
    touch_pages(info, PAGE_4K);
}
