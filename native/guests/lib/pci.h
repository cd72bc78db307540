// PCI functions, by the two ports of configuration mechanism 1.
//
// Spec: PCI-SIG, "PCI Local Bus Specification, Revision 3.0", "Configuration Mechanism #1".
#ifndef GUESTS_PCI_H
#define GUESTS_PCI_H
#include <stdbool.h>
#include <stdint.h>

enum pci_register {
    PCI_ID = 0x00,
    PCI_COMMAND = 0x04,
    PCI_CLASS = 0x08, // class, subclass and interface above the revision
    PCI_HEADER = 0x0C,
    PCI_BAR4 = 0x20,
};
enum pci_command { PCI_COMMAND_IO = 1, PCI_COMMAND_MASTER = 4 };

struct pci_function {
    uint8_t device, function; // on bus 0
};

uint32_t pci_read(struct pci_function at, uint8_t offset);
void pci_write(struct pci_function at, uint8_t offset, uint32_t value);

// The first function of this class and subclass, 0xCCSS. False: there is none.
bool pci_find(uint16_t class_code, struct pci_function *ret);

#endif
