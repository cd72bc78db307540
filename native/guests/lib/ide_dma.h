// Sectors by bus-master DMA: the controller moves them, and no word goes through a port.
//
// Spec: Intel, "Programming Interface for Bus Master IDE Controller". The driver polls; no
// interrupt is used. Memory is mapped where it lies, as it is for every guest here.
#ifndef GUESTS_IDE_DMA_H
#define GUESTS_IDE_DMA_H
#include "lib/ide.h"

// The first port of the controller's registers for DMA; 0: there is no such controller.
uint16_t ide_dma_find(void);

// `count` sectors, 1 to 65536, from `sector` on; the memory begins at an even address.
// IDE_NO_MEMORY: the controller could not reach it. IDE_FAILED: the disk's `error` says why.
enum ide_status ide_dma_read(uint16_t block, struct ide_disk *disk, uint64_t sector, void *to,
                             uint32_t count);
enum ide_status ide_dma_write(uint16_t block, struct ide_disk *disk, uint64_t sector,
                              const void *from, uint32_t count);

#endif
