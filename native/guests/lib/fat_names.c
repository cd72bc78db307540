// Puts names together, in UTF-8.

#include "lib/fat_names.h"

enum { PART_LETTERS = 13, MOST_PARTS = 20, LAST_PART = 0x40, CHECKSUM = 13, BASE = 8, SHORT = 11 };
enum { CASE = 12, LOWER_BASE = 0x08, LOWER_EXTENSION = 0x10 }; // of Windows NT, which has them here

static const uint8_t letter_offsets[PART_LETTERS] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};

void fat_long_part(struct fat_directory *directory, const uint8_t *raw)
{
    const uint8_t part = raw[0] & (uint8_t)~LAST_PART;
    const bool begins = raw[0] & LAST_PART;
    const bool fits =
        part >= 1 && part <= MOST_PARTS &&
        (begins || (part + 1 == directory->long_part && raw[CHECKSUM] == directory->long_checksum));

    directory->long_part = fits ? part : 0;
    if (!fits)
        return;
    directory->long_checksum = raw[CHECKSUM];
    uint16_t *letters = directory->long_name + (uint64_t)(part - 1) * PART_LETTERS;
    for (uint32_t i = 0; i < PART_LETTERS; i++)
        letters[i] = (uint16_t)(raw[letter_offsets[i]] | raw[letter_offsets[i] + 1] << 8);
    if (begins && part < MOST_PARTS)
        letters[PART_LETTERS] = 0;
}

static uint8_t checksum_of(const uint8_t *raw)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < SHORT; i++)
        sum = (uint8_t)((sum << 7 | sum >> 1) + raw[i]);
    return sum;
}

// Whether a letter of ASCII can be shown, and is no end of a part of a path.
static bool is_plain(uint32_t letter)
{
    return letter >= ' ' && letter < 0x7F && letter != '/' && letter != '\\';
}

static char *put_utf8(char *to, uint32_t letter)
{
    if (letter < 0xA0) { // where controls are, too
        *to++ = (char)(is_plain(letter) ? letter : '?');
    } else if (letter < 0x800) {
        *to++ = (char)(0xC0 | letter >> 6);
        *to++ = (char)(0x80 | (letter & 0x3F));
    } else {
        if (letter >= 0x10000)
            *to++ = (char)(0xF0 | letter >> 18);
        *to++ = (char)(letter >= 0x10000 ? 0x80 | (letter >> 12 & 0x3F) : 0xE0 | letter >> 12);
        *to++ = (char)(0x80 | (letter >> 6 & 0x3F));
        *to++ = (char)(0x80 | (letter & 0x3F));
    }
    return to;
}

static bool is_half(uint16_t letter, uint16_t first)
{
    return (letter & 0xFC00) == first;
}

// Two halves are one letter; a half without its other is none.
static void take_long(const uint16_t *letters, char *name)
{
    for (uint32_t i = 0; i < FAT_LONG_LETTERS - 5 && letters[i] != 0; i++) {
        uint32_t letter = letters[i];
        if (is_half(letters[i], 0xD800) && is_half(letters[i + 1], 0xDC00))
            letter = 0x10000 + ((letter & 0x3FF) << 10 | (letters[++i] & 0x3FF));
        else if (is_half(letters[i], 0xD800) || is_half(letters[i], 0xDC00))
            letter = '?';
        name = put_utf8(name, letter);
    }
    *name = '\0';
}

static char *take_part(char *to, const uint8_t *letters, uint32_t count, bool lower)
{
    while (count > 0 && letters[count - 1] == ' ')
        count--;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t letter = letters[i];
        const bool is_capital = letter >= 'A' && letter <= 'Z';
        if (!is_plain(letter))
            *to++ = '?'; // what it is depends on the machine that wrote it
        else
            *to++ = (char)(lower && is_capital ? letter + 'a' - 'A' : letter);
    }
    return to;
}

void fat_name(const struct fat_directory *directory, const uint8_t *raw, char name[FAT_NAME_BYTES])
{
    if (directory->long_part == 1 && directory->long_checksum == checksum_of(raw) &&
        directory->long_name[0] != 0) {
        take_long(directory->long_name, name);
        return;
    }
    char *end = take_part(name, raw, BASE, raw[CASE] & LOWER_BASE), *dot = end;
    end = take_part(dot + 1, raw + BASE, SHORT - BASE, raw[CASE] & LOWER_EXTENSION);
    if (end == dot + 1) {
        *dot = '\0';
    } else {
        *dot = '.';
        *end = '\0';
    }
}
