"""Address translation: formats, the walk in one and in two stages, the builder of tables.

Next: ``minihv.paging.formats``
"""
