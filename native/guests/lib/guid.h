// GUIDs as VMBus carries them: the first three groups little-endian, the rest byte by byte.
#ifndef GUESTS_GUID_H
#define GUESTS_GUID_H
#include <stdbool.h>
#include <stdint.h>

// {first-second-third-rest[0..1]-rest[2..7]}
struct guid {
    uint32_t first;
    uint16_t second, third;
    uint8_t rest[8];
};

bool guid_equal(const struct guid *left, const struct guid *right);

// What a channel is for. The first two are minihv's own; the others are those of Hyper-V.
extern const struct guid INTERFACE_ECHO;      // 6d696e69-6876-4563-686f-000000000001
extern const struct guid INTERFACE_CONSOLE;   // 6d696e69-6876-436f-6e73-6f6c65000001
extern const struct guid INTERFACE_HEARTBEAT; // 57164f39-9115-4e78-ab55-382f3bd5422d
extern const struct guid INTERFACE_SHUTDOWN;  // 0e0b6031-5213-4934-818b-38d90ced39db
extern const struct guid INTERFACE_TIME_SYNC; // 9527e630-d0ae-497b-adce-e80ab0175caf
extern const struct guid INTERFACE_KVP;       // a9a0f4e7-5a45-4d96-b827-8a841e8c03e6
extern const struct guid INTERFACE_SCSI;      // ba6163d9-04a1-4d29-b605-72e2ffb1dc7f

#endif
