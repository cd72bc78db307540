"""Pictures of what a machine does: page walks and mappings, as text, drawings and JSON. They only look.

Next: ``minihv.eyes.walk_picture``
"""
