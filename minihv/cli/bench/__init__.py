"""``minihv bench``: what minihv costs, always beside what the same work costs without it.

First reading: ``sides`` (the two sides), ``rows`` (what a row is), then ``exits``.
"""
