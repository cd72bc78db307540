"""The software of the parent partition: what its kernel in C asks of Python, and what people ask of it."""
