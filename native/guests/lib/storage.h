// Disks behind a SCSI controller of the parent: a command is a packet, and its data never passes
// through the ring.
//
// Layouts: minihv/spec/vstor.py and minihv/spec/scsi.py. The channel is that of lib/vmbus.h, and so
// are the rules: everything is called on VP 0 with interrupts off, and GPA = GVA for all buffers.
//
// One request at a time: storage_read, storage_write. Many: storage_start for each, then
// storage_publish, which is one signal, then storage_next until all have come back.
#ifndef GUESTS_STORAGE_H
#define GUESTS_STORAGE_H
#include "lib/vmbus.h"

enum { STORAGE_SECTOR_BYTES = 512, STORAGE_MOST_LUNS = 256, STORAGE_CDB_BYTES = 16 };

enum storage_status {
    STORAGE_DONE,
    STORAGE_NO_DISK, // nothing is at that LUN
    STORAGE_FAILED,  // the disk says why in `sense_key` and `additional`
    STORAGE_REFUSED, // the host finds that the request cannot be
    STORAGE_BROKEN,  // the channel is gone, or the host broke its rules
};

// A controller with an open channel.
struct storage {
    struct vmbus_channel channel;
    uint16_t version; // major << 8 | minor, as agreed on
    uint16_t most_sub_channels;
    uint32_t most_transfer_bytes;
    uint32_t changes; // how often the host said that disks came or went
};

struct storage_disk {
    uint64_t sector_count;
    uint8_t lun;
    char product[17];
};

enum storage_direction { STORAGE_TO_DISK = 0, STORAGE_FROM_DISK = 1, STORAGE_NO_DATA = 2 };

// A request. The caller fills the first part, and may look at the second when it has come back.
struct storage_request {
    void *buffer;
    uint32_t byte_count;
    uint8_t lun;
    uint8_t direction; // enum storage_direction
    uint8_t cdb_bytes;
    uint8_t cdb[STORAGE_CDB_BYTES];

    enum storage_status status;
    uint32_t moved_bytes;
    uint8_t sense_key;
    uint16_t additional; // code << 8 | qualifier
};

// Opens the channel and comes to terms with the host; STORAGE_REFUSED if there are none.
enum storage_status storage_open(struct storage *storage, const struct vmbus_offer *offer,
                                 struct vmbus_rings rings);
enum storage_status storage_close(struct storage *storage);

// The LUNs that have a disk, in order; how many in `ret`.
enum storage_status storage_list(struct storage *storage, uint8_t luns[STORAGE_MOST_LUNS],
                                 uint32_t *ret);

// STORAGE_DONE: a disk is at `lun`, and `disk` describes it.
enum storage_status storage_find(struct storage *storage, uint8_t lun, struct storage_disk *disk);

// Letters that no other disk has, with a zero behind them: what tells a disk from another that took
// its LUN.
enum { STORAGE_SERIAL_BYTES = 32 };
enum storage_status storage_serial(struct storage *storage, uint8_t lun,
                                   char serial[STORAGE_SERIAL_BYTES]);

// `count` sectors from `sector` on, at most `most_transfer_bytes`.
enum storage_status storage_read(struct storage *storage, const struct storage_disk *disk,
                                 uint64_t sector, void *to, uint32_t count);
enum storage_status storage_write(struct storage *storage, const struct storage_disk *disk,
                                  uint64_t sector, const void *from, uint32_t count);

// What was written outlives the machine.
enum storage_status storage_flush(struct storage *storage, const struct storage_disk *disk);

// Makes the request of one of the functions above, for those who have many.
struct storage_request storage_reading(const struct storage_disk *disk, uint64_t sector, void *to,
                                       uint32_t count);
struct storage_request storage_writing(const struct storage_disk *disk, uint64_t sector,
                                       const void *from, uint32_t count);

// The request is in the ring, and the host sees it after storage_publish. It must stay where it is
// until it comes back. VMBUS_FULL: there is no room until another one has come back.
enum vmbus_outcome storage_start(struct storage *storage, struct storage_request *request);
enum vmbus_outcome storage_publish(struct storage *storage);

// The next request that is done, whichever it is, however long it takes; NULL: the channel is gone.
struct storage_request *storage_next(struct storage *storage);

// Takes what the host has said of its own accord, which `changes` counts, without waiting. For
// guests that idle, and only while no request is on its way.
enum storage_status storage_listen(struct storage *storage);

// One request, from its start to its end.
enum storage_status storage_do(struct storage *storage, struct storage_request *request);

#endif
