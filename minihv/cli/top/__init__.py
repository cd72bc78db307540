"""``minihv top``: what runs now, looked at from outside or run for that purpose.

Next: ``minihv.cli.top.machine_view``
"""
