"""
For the tests of programs that use this library: a sandbox as pytest fixtures, and cassettes without secrets.

`vcr_config()` goes to vcrpy; the fixtures come with the pytest plugin in `daxko_auth.testing.plugin`, and
`daxko_auth.testing.scan` finds secrets in cassettes. Importing this starts nothing and imports no extra.
"""

from daxko_auth.testing.cassettes import vcr_config

__all__ = ["vcr_config"]
