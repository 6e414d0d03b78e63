"""
The edges floor: one exchange on the wire at a time, and where tokens are kept.

Nothing here decides when to ask or whether to ask again.
"""
