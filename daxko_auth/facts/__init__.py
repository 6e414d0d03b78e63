"""
The facts floor: what things are, as value types and data.

Nothing here touches the network, a thread or a clock, and nothing here imports a floor above.
"""
