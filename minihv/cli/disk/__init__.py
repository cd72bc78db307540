"""``minihv disk``: images of disks are made, looked at, checked and changed.

First reading: ``verbs`` (what can be typed), ``command`` (what it does), then ``picture``.
"""
