#ifndef MINIHV_ENGINE_H
#define MINIHV_ENGINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The functions of the Unicorn library that minihv calls. The core links nothing: the one Python
// module that imports unicorn fills this table with the library's own addresses.
struct mhv_engine_api {
    unsigned int (*version)(unsigned int *major, unsigned int *minor);
    int (*open)(int arch, int mode, void **engine);
    int (*close)(void *engine);
    int (*ctl)(void *engine, uint32_t control, ...);
    int (*mem_map_ptr)(void *engine, uint64_t address, size_t byte_count, uint32_t rights,
                       void *host);
    int (*mmio_map)(void *engine, uint64_t address, size_t byte_count,
                    uint64_t (*read)(void *engine, uint64_t offset, unsigned int byte_count,
                                     void *user),
                    void *read_user,
                    void (*write)(void *engine, uint64_t offset, unsigned int byte_count,
                                  uint64_t value, void *user),
                    void *write_user);
    int (*hook_add)(void *engine, size_t *hook, int type, void *callback, void *user,
                    uint64_t begin, uint64_t end, ...);
    int (*reg_read)(void *engine, int name, void *value);
    int (*reg_write)(void *engine, int name, const void *value);
    int (*reg_read_batch)(void *engine, int *names, void **values, int count);
    int (*reg_write_batch)(void *engine, int *names, void *const *values, int count);
    int (*emu_start)(void *engine, uint64_t begin, uint64_t until, uint64_t timeout, size_t count);
    int (*emu_stop)(void *engine);
    int (*context_alloc)(void *engine, void **context);
    int (*context_save)(void *engine, void *context);
    int (*context_restore)(void *engine, void *context);
    int (*context_free)(void *context);
    size_t (*context_size)(void *engine);
};

// What a miss of the engine's TLB is answered with: `address` is an engine-physical address.
struct mhv_engine_fill {
    uint64_t address;
    uint32_t rights;
};

// Numbers of the engine's public interface (its headers unicorn.h and x86.h).
enum mhv_engine_number {
    MHV_UC_ARCH_X86 = 4,
    MHV_UC_MODE_64 = 8,
    MHV_UC_CPU_EPYC = 35,
    MHV_UC_TLB_CPU = 0,
    MHV_UC_TLB_VIRTUAL = 1,
    MHV_UC_OK = 0,
    MHV_UC_ERR_EXCEPTION = 21,
    MHV_UC_PROT_READ = 1,
    MHV_UC_PROT_WRITE = 2,
    MHV_UC_PROT_EXEC = 4,
    MHV_UC_MEM_READ = 16,
    MHV_UC_MEM_WRITE = 17,
    MHV_UC_MEM_FETCH = 18,
    MHV_UC_HOOK_INTR = 1,
    MHV_UC_HOOK_INSN = 2,
    MHV_UC_HOOK_BLOCK = 8,
    MHV_UC_HOOK_MEM_READ_UNMAPPED = 16,
    MHV_UC_HOOK_TLB_FILL = 131072,
    MHV_UC_INS_IN = 218,
    MHV_UC_INS_OUT = 500,
    MHV_UC_INS_SYSCALL = 699,
    MHV_UC_INS_SYSENTER = 700,
    MHV_UC_CTL_USE_EXITS = 1140850692,
    MHV_UC_CTL_CPU_MODEL = 1140850695,
    MHV_UC_CTL_REMOVE_CACHE = 1207959561,
    MHV_UC_CTL_FLUSH_TB = 1073741834,
    MHV_UC_CTL_FLUSH_TLB = 1073741835,
    MHV_UC_CTL_TLB_TYPE = 1140850700,
    MHV_UC_CTL_TCG_BUFFER_BYTES = 1140850701,
};

enum mhv_engine_register {
    MHV_UC_RAX = 35,
    MHV_UC_RBP = 36,
    MHV_UC_RBX = 37,
    MHV_UC_RCX = 38,
    MHV_UC_RDI = 39,
    MHV_UC_RDX = 40,
    MHV_UC_RIP = 41,
    MHV_UC_RSI = 43,
    MHV_UC_RSP = 44,
    MHV_UC_CS = 11,
    MHV_UC_CR0 = 50,
    MHV_UC_CR3 = 53,
    MHV_UC_CR4 = 54,
    MHV_UC_R8 = 106,
    MHV_UC_FPCW = 246,
    MHV_UC_MSR = 248,
    MHV_UC_MXCSR = 249,
    MHV_UC_RFLAGS = 253,
};

#endif
