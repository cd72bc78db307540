"""Devices: what partitions talk to. Emulated ones are reached by exits, synthetic ones by VMBus.

Next: ``minihv.devices.synthetic``
"""
