// Key-value exchange: the facts of the guest that the host may read, and pairs that the host sets.

#include "lib/integration_services.h"
#include "lib/memory.h"
#include <stddef.h>

struct pair {
    bool is_used;
    uint8_t pool;
    struct kvp_record record;
};

static struct pair pairs[INTEGRATION_MOST_PAIRS];

// ASCII to UTF-16 with its zero; the result is the size in bytes.
static uint32_t widen(uint8_t *to, const char *from, uint32_t capacity)
{
    uint32_t byte_count = 0;

    for (; *from != '\0' && byte_count + 4 <= capacity; from++, byte_count += 2) {
        to[byte_count] = (uint8_t)*from;
        to[byte_count + 1] = 0;
    }
    to[byte_count] = to[byte_count + 1] = 0;
    return byte_count + 2;
}

static bool is_legal(const struct kvp_record *record)
{
    return record->key_bytes >= 4 && record->key_bytes <= KVP_KEY_BYTES &&
           record->value_bytes <= KVP_VALUE_BYTES;
}

static struct pair *find(uint8_t pool, const uint8_t *key, uint32_t key_bytes)
{
    for (uint32_t i = 0; i < INTEGRATION_MOST_PAIRS; i++) {
        const struct kvp_record *record = &pairs[i].record;
        if (pairs[i].is_used && pairs[i].pool == pool && record->key_bytes == key_bytes &&
            memcmp(record->key, key, key_bytes) == 0)
            return &pairs[i];
    }
    return NULL;
}

static struct pair *find_nth(uint8_t pool, uint32_t index)
{
    for (uint32_t i = 0; i < INTEGRATION_MOST_PAIRS; i++)
        if (pairs[i].is_used && pairs[i].pool == pool && index-- == 0)
            return &pairs[i];
    return NULL;
}

static struct pair *free_pair(void)
{
    for (uint32_t i = 0; i < INTEGRATION_MOST_PAIRS; i++)
        if (!pairs[i].is_used)
            return &pairs[i];
    return NULL;
}

void pairs_begin(const struct integration_choices *choices)
{
    memset(pairs, 0, sizeof(pairs));
    for (uint32_t i = 0; i < choices->fact_count && i < INTEGRATION_MOST_PAIRS; i++) {
        struct kvp_record *record = &pairs[i].record;
        record->type = KVP_TYPE_STRING;
        record->key_bytes = widen(record->key, choices->facts[i].key, KVP_KEY_BYTES);
        record->value_bytes = widen(record->value, choices->facts[i].value, KVP_VALUE_BYTES);
        pairs[i].pool = KVP_POOL_AUTO;
        pairs[i].is_used = true;
    }
}

static uint32_t get(struct ic_question *question, uint8_t pool)
{
    struct kvp_record *record = (struct kvp_record *)(question->body + sizeof(struct kvp_header));
    const struct pair *pair = find(pool, record->key, record->key_bytes);

    if (!pair)
        return IC_NO_MORE_ITEMS;
    memcpy(record, &pair->record, sizeof(*record));
    return IC_OK;
}

static uint32_t set(struct ic_question *question, uint8_t pool)
{
    const uint8_t *place = question->body + sizeof(struct kvp_header);
    const struct kvp_record *record = (const struct kvp_record *)place;
    struct pair *pair = find(pool, record->key, record->key_bytes);

    if (pool != KVP_POOL_EXTERNAL)
        return IC_FAIL;
    if (!pair)
        pair = free_pair();
    if (!pair)
        return IC_FAIL;
    pair->is_used = true;
    pair->pool = pool;
    memcpy(&pair->record, record, sizeof(*record));
    return IC_OK;
}

static uint32_t exchange(struct ic_question *question, struct kvp_header header)
{
    if (question->body_bytes < sizeof(struct kvp_exchange) ||
        !is_legal((const struct kvp_record *)(question->body + sizeof(header))))
        return IC_FAIL;
    return header.operation == KVP_GET ? get(question, header.pool) : set(question, header.pool);
}

static uint32_t enumerate(struct ic_question *question, struct kvp_header header)
{
    uint32_t index;

    if (question->body_bytes < sizeof(struct kvp_enumerate))
        return IC_FAIL;
    memcpy(&index, question->body + offsetof(struct kvp_enumerate, index), sizeof(index));
    const struct pair *pair = find_nth(header.pool, index);
    if (!pair)
        return IC_NO_MORE_ITEMS;
    memcpy(question->body + offsetof(struct kvp_enumerate, record), &pair->record,
           sizeof(pair->record));
    return IC_OK;
}

static uint32_t forget(struct ic_question *question, struct kvp_header header)
{
    const struct kvp_delete *wish = (const struct kvp_delete *)question->body;

    if (question->body_bytes < sizeof(*wish) || wish->key_bytes > KVP_KEY_BYTES ||
        header.pool != KVP_POOL_EXTERNAL)
        return IC_FAIL;
    struct pair *pair = find(header.pool, wish->key, wish->key_bytes);
    if (!pair)
        return IC_NO_MORE_ITEMS;
    pair->is_used = false;
    return IC_OK;
}

uint32_t answer_pairs(struct ic_question *question)
{
    struct kvp_header header;

    if (question->body_bytes < sizeof(header))
        return IC_FAIL;
    memcpy(&header, question->body, sizeof(header));
    integration_now.pair_questions++;
    switch (header.operation) {
    case KVP_GET:
    case KVP_SET:
        return exchange(question, header);
    case KVP_ENUMERATE:
        return enumerate(question, header);
    case KVP_DELETE:
        return forget(question, header);
    default:
        return IC_FAIL;
    }
}

bool integration_value(const char *key, char *ret, uint32_t capacity)
{
    uint8_t wide[KVP_KEY_BYTES];
    const uint32_t key_bytes = widen(wide, key, sizeof(wide));
    const struct pair *pair = find(KVP_POOL_EXTERNAL, wide, key_bytes);

    if (!pair || pair->record.type != KVP_TYPE_STRING || capacity == 0)
        return false;
    uint32_t count = 0;
    for (; count + 1 < capacity && 2 * count < pair->record.value_bytes; count++)
        ret[count] = (char)pair->record.value[2ULL * count];
    ret[count] = '\0';
    return true;
}
