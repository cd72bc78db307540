// The packets of the storage protocol. A program includes lib/storage.h and not this.
#ifndef GUESTS_STORAGE_PACKET_H
#define GUESTS_STORAGE_PACKET_H
#include "lib/storage.h"

enum storage_operation {
    STORAGE_COMPLETE = 1,
    STORAGE_EXECUTE = 3,
    STORAGE_BEGIN = 7,
    STORAGE_END = 8,
    STORAGE_QUERY_VERSION = 9,
    STORAGE_QUERY_PROPERTIES = 10,
    STORAGE_ENUMERATE = 11,
};

enum { STORAGE_WANTS_COMPLETION = 1 };

struct storage_version {
    uint16_t version, revision;
};

struct storage_properties {
    uint32_t reserved_0;
    uint16_t most_sub_channels;
    uint16_t reserved_6;
    uint32_t flags;
    uint32_t most_transfer_bytes;
};

struct storage_scsi {
    uint16_t length;
    uint8_t srb_status, scsi_status;
    uint8_t port, path, target, lun;
    uint8_t cdb_bytes, sense_bytes, direction, reserved_11;
    uint32_t data_bytes;
    uint8_t cdb_or_sense[20];
    uint16_t reserved_36;
    uint8_t queue_tag, queue_action;
    uint32_t srb_flags, timeout_seconds, sort_key;
};

struct storage_packet {
    uint32_t operation, flags, status;
    union {
        struct storage_version version;
        struct storage_properties properties;
        struct storage_scsi scsi;
    };
};

// Sends `packet` and waits until its answer has taken its place. STORAGE_REFUSED: the answer's
// status is not 0.
enum storage_status storage_exchange(struct storage *storage, struct storage_packet *packet);

#endif
