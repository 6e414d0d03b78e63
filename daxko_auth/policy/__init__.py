"""
When a token is fresh, stale or dead, who asks, what is retried, what a 401 means.

It knows no HTTP. It asks the exchange for a token and a store for what others have asked.
"""
