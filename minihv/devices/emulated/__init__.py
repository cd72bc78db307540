"""Chips as a system meets them that has never heard of a hypervisor: registers at ports.

First reading: ``port_bus`` (who answers a port), ``mainboard`` (the chips of a PC), ``ide_channel`` (the
    registers of two disks), ``ata_drive`` (what a disk does with a command).
"""
