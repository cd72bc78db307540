// The same touches as 13_small_pages, through pages of 2 MiB.

#include "programs/13_small_pages/touch.h"

void guest_main(const struct boot_info *info)
{
    touch_pages(info, PAGE_2M);
}
