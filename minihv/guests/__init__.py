"""What runs in partitions: reading guest images, entering them, and the programs that come with minihv.

Next: ``minihv.guests.image``
"""
