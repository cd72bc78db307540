// The root directory of a CD, and its files.
//
// Spec: ECMA-119, "Volume and File Structure of CDROM for Information Interchange", "Directory
// Records".
#ifndef GUESTS_ISO_H
#define GUESTS_ISO_H
#include "lib/cd.h"
#include <stdbool.h>

enum { ISO_NAME_BYTES = 224 };

struct iso_directory {
    struct cd_drive *cd;
    uint32_t block, blocks_left, offset;
    uint8_t content[CD_BLOCK_BYTES];
};

struct iso_file {
    char name[ISO_NAME_BYTES]; // without its version
    uint32_t block, byte_count;
    bool is_directory;
};

// The root directory, from its first entry on. False: there is none.
bool iso_open(struct cd_drive *cd, struct iso_directory *directory);

// The next entry other than the directory itself and its parent. False: there is no more, or none
// can be read.
bool iso_next(struct iso_directory *directory, struct iso_file *file);

// CRC-32 of the file, as zlib and IEEE 802.3 have it. False: not all of it can be read.
bool iso_checksum(struct cd_drive *cd, const struct iso_file *file, uint32_t *ret);

#endif
