"""Transcribed standards: layouts and numbers, no behaviour.

Next: ``minihv.spec.bits``
"""
