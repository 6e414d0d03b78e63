"""
Cassettes: recorded exchanges with Daxko's token endpoints, without a secret, replayed without a network.

For single exchanges only. Whatever depends on connections, timeouts, redirects or bodies that can be sent
twice is never tested here: vcrpy reads every body into memory first, so such a test would pass for nothing.
"""

from recording.cassette import record, replay

__all__ = ["record", "replay"]
