#ifndef MINIHV_STATUS_H
#define MINIHV_STATUS_H

// What a function of the core returns when it can be refused.
enum mhv_status {
    MHV_OK = 0,
    MHV_MISALIGNED = 1,     // an address or a size is no multiple of the page
    MHV_OUT_OF_REACH = 2,   // an address lies outside what the format translates
    MHV_ALREADY_MAPPED = 3, // something is there
    MHV_NOT_MAPPED = 4,     // nothing is there
    MHV_WOULD_SPLIT = 5,    // a range ends inside a large page
    MHV_NO_FRAMES = 6,      // the pool of frames is empty
    MHV_NOT_UNIFORM = 7,    // the pages of a table differ, they make no large page
    MHV_NO_SUCH_PAGE = 8,   // pages have no such size
    MHV_BAD_FLAGS = 9,      // flags that are not the caller's to choose
};

#endif
