"""
Against the sandbox: whose token is used, and what the program does when something goes wrong.
"""

import pytest
from locations import locations

from daxko_auth import TokenRefused
from daxko_auth.sandbox import Sandbox


@pytest.mark.usefixtures("daxko_env")
def test_each_customer_is_asked_for_with_its_own_token() -> None:
    """The sandbox answers every call with who was let in."""
    assert [locations(9999)["client_id"], locations(1234)["client_id"]] == [9999, 1234]


@pytest.mark.usefixtures("daxko_env")
def test_an_expired_token_is_replaced(daxko_sandbox: Sandbox) -> None:
    """The first call of the second day works like any other."""
    locations(9999)
    daxko_sandbox.expire()
    locations(9999)
    assert daxko_sandbox.token_requests(9999) == 2


@pytest.mark.usefixtures("daxko_env")
def test_an_outage_is_survived(daxko_sandbox: Sandbox) -> None:
    """The token endpoint fails once, and is asked again."""
    daxko_sandbox.fail_next(1, "status", status=503)
    assert locations(9999)["client_id"] == 9999


@pytest.mark.usefixtures("daxko_env")
def test_a_customer_who_is_not_ours_is_refused() -> None:
    """The program says so, and does not return an empty list."""
    with pytest.raises(TokenRefused, match="unauthorized_client"):
        locations(1111)
