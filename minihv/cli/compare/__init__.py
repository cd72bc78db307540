"""``minihv compare``: the same guests under several ways of doing one thing, with counted numbers.

First reading: ``verbs`` (what can be typed), ``modes`` (what is compared), ``measure`` (how), then ``costs``
(what hardware would pay).
"""
