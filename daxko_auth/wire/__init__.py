"""
The token requests: one exchange on the wire at a time, and its answer read without trusting it.

The only importer of generated code, beside the client that hands it out. Nothing here decides when to ask or whether to
ask again.
"""
