// Asks the functions of bus 0 who they are.

#include "lib/pci.h"
#include "lib/cpu.h"

enum { ADDRESS = 0xCF8, DATA = 0xCFC, DEVICES = 32, FUNCTIONS = 8, MULTI_FUNCTION = 0x80 };
static const uint32_t ENABLE = UINT32_C(1) << 31, NOBODY = UINT32_C(0xFFFFFFFF);

static void choose(struct pci_function at, uint8_t offset)
{
    outl(ADDRESS, ENABLE | (uint32_t)at.device << 11 | (uint32_t)at.function << 8 | offset);
}

uint32_t pci_read(struct pci_function at, uint8_t offset)
{
    choose(at, offset);
    return inl(DATA);
}

void pci_write(struct pci_function at, uint8_t offset, uint32_t value)
{
    choose(at, offset);
    outl(DATA, value);
}

static uint8_t functions_of(struct pci_function at)
{
    if (pci_read(at, PCI_ID) == NOBODY)
        return 0;
    return pci_read(at, PCI_HEADER) >> 16 & MULTI_FUNCTION ? FUNCTIONS : 1;
}

bool pci_find(uint16_t class_code, struct pci_function *ret)
{
    for (uint8_t device = 0; device < DEVICES; device++) {
        const uint8_t functions = functions_of((struct pci_function){device, 0});
        for (uint8_t function = 0; function < functions; function++) {
            const struct pci_function at = {device, function};
            if (pci_read(at, PCI_CLASS) >> 16 == class_code) {
                *ret = at;
                return true;
            }
        }
    }
    return false;
}
