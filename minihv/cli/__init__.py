"""What people type.

Next: ``minihv.cli.main``
"""
