"""
A stand-in for Daxko: a real HTTP server with the vendor's two token endpoints, for tests and trying out.

It judges requests strictly, by the vendor's guide, and fails on demand. It shares facts with the
library, and no code that builds or parses bodies: it must not agree with the library's mistakes.
Needs the `sandbox` extra.
"""

from daxko_auth.model.extras import missing_extra

try:
    from daxko_auth.sandbox.accounts import Account
    from daxko_auth.sandbox.failures import Failure
    from daxko_auth.sandbox.log import Arrival
    from daxko_auth.sandbox.server import Sandbox
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(missing_extra("the sandbox", error, "sandbox"), name=error.name) from None

__all__ = ["Account", "Arrival", "Failure", "Sandbox"]
