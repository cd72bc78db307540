// What is told of a volume: all its files, or the text of one.
#ifndef LISTING_H
#define LISTING_H
#include "lib/block.h"

// All files and directories of the device, or, with a path, what is in that file.
void tell_of_disk(const struct block_device *device, const char *path);

#endif
