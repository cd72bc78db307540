"""Virtualisation service providers: what the parent offers over VMBus, each a service over one channel.

Next: ``minihv.devices.synthetic.service``
"""
