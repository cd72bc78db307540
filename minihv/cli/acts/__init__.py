"""The acts of ``minihv tour``.

Next: ``minihv.cli.acts.act1``
"""
