"""
What things are: credentials, scopes, tokens, errors, events, the vendor's numbers and paths.

Value types and data. Nothing here touches the network, and nothing here imports another layer.
"""
