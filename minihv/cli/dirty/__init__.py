"""``minihv dirty``: which pages a guest writes, over virtual time.

First reading: ``recorder`` (a run in intervals), ``dirty_map`` (what came out), then ``drawing``.
"""
