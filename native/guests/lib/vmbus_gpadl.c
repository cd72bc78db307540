// GPADLs: names memory of the guest to the host, page by page, in as many messages as it takes.

#include "lib/memory.h"
#include "lib/vmbus_bus.h"
#include <stddef.h>

enum { PAGE_BYTES = 4096, RANGE_HEADER_BYTES = 8 };

static uint32_t least(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

static enum vmbus_outcome post_header(uint32_t relid, uint32_t gpadl, uint64_t first_pfn,
                                      uint32_t page_count)
{
    const uint32_t here = least(page_count, GPADL_HEADER_PFNS);
    struct vmbus_gpadl_header message = {
        .head = {VMBUS_GPADL_HEADER, 0},
        .relid = relid,
        .gpadl = gpadl,
        .range_bytes = (uint16_t)(RANGE_HEADER_BYTES + 8 * page_count),
        .range_count = 1,
        .byte_count = page_count * PAGE_BYTES,
    };

    for (uint32_t i = 0; i < here; i++)
        message.pfns[i] = first_pfn + i;
    return vmbus_post(&message,
                      offsetof(struct vmbus_gpadl_header, pfns) + sizeof(uint64_t) * here);
}

static enum vmbus_outcome post_body(uint32_t gpadl, uint32_t number, uint64_t first_pfn,
                                    uint32_t page_count)
{
    struct vmbus_gpadl_body message = {
        .head = {VMBUS_GPADL_BODY, 0}, .message_number = number, .gpadl = gpadl};

    for (uint32_t i = 0; i < page_count; i++)
        message.pfns[i] = first_pfn + i;
    return vmbus_post(&message,
                      offsetof(struct vmbus_gpadl_body, pfns) + sizeof(uint64_t) * page_count);
}

static enum vmbus_outcome post_pages(uint32_t relid, uint32_t gpadl, uint64_t first_pfn,
                                     uint32_t page_count)
{
    enum vmbus_outcome outcome = post_header(relid, gpadl, first_pfn, page_count);
    uint32_t number = 0;

    for (uint32_t done = GPADL_HEADER_PFNS; done < page_count && outcome == VMBUS_OK;
         done += GPADL_BODY_PFNS)
        outcome =
            post_body(gpadl, ++number, first_pfn + done, least(page_count - done, GPADL_BODY_PFNS));
    return outcome;
}

enum vmbus_outcome vmbus_gpadl_create(uint32_t relid, const void *memory, uint32_t page_count,
                                      uint32_t *ret)
{
    const uint64_t gpa = (uint64_t)memory;
    const uint32_t gpadl = ++vmbus_bus.last_gpadl;
    struct vmbus_result_message result;

    if (gpa % PAGE_BYTES != 0 || page_count == 0 || page_count > VMBUS_MOST_GPADL_PAGES)
        return VMBUS_INVALID;
    enum vmbus_outcome outcome = post_pages(relid, gpadl, gpa / PAGE_BYTES, page_count);
    if (outcome != VMBUS_OK)
        return outcome;
    outcome = vmbus_await(VMBUS_GPADL_CREATED, relid, vmbus_offer_of(relid));
    if (outcome != VMBUS_OK)
        return outcome;
    memcpy(&result, vmbus_bus.reply.payload, sizeof(result));
    if (result.status != 0 || result.id != gpadl)
        return VMBUS_REFUSED;
    *ret = gpadl;
    return VMBUS_OK;
}

// The host answers for a channel that it has taken away, too: until then it may still write.
enum vmbus_outcome vmbus_gpadl_teardown(uint32_t relid, uint32_t gpadl)
{
    const struct vmbus_gpadl_teardown message = {{VMBUS_GPADL_TEARDOWN, 0}, relid, gpadl};
    const enum vmbus_outcome outcome = vmbus_post(&message, sizeof(message));

    return outcome == VMBUS_OK ? vmbus_await(VMBUS_GPADL_TORNDOWN, gpadl, NULL) : outcome;
}
