"""Where a renewal did not help, the next is not tried for a while; elsewhere it is."""

import pytest

from daxko_auth import ApiCredentials, ClientScope, TokenKey
from daxko_auth.policy import unhelpful
from daxko_auth.policy.flight import Slot


@pytest.fixture
def slot() -> Slot:
    """Give a slot in which nothing has happened."""
    return Slot(TokenKey("https://daxko.example", ApiCredentials("user", "password", "refresh"), ClientScope(9999)))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("GET", "/v3/members/17"), ("get", "/v3/members/18"), True),
        (("GET", "/v3/members/17/units"), ("GET", "/v3/members/18/units"), True),
        (
            ("GET", "/v3/x/0a6f2c1e-97f1-4d8c-8a40-0f0e3c1b2a99"),
            ("GET", "/v3/x/FFFFFFFF-97f1-4d8c-8a40-0f0e3c1b2a99"),
            True,
        ),
        (("GET", "/v3/members/17"), ("POST", "/v3/members/17"), False),
        (("GET", "/v3/members/me"), ("GET", "/v3/members/17"), False),
        (("GET", "/v3/17a"), ("GET", "/v3/18a"), False),
        (("GET", "/" + "x" * 600 + "1"), ("GET", "/" + "x" * 600 + "2"), True),
    ],
)
def test_an_endpoint_is_a_method_and_a_path_without_its_numbers(
    one: tuple[str, str], other: tuple[str, str], same: bool
) -> None:
    """A report of ten thousand members must not be ten thousand renewals."""
    assert (unhelpful.endpoint_of(*one) == unhelpful.endpoint_of(*other)) is same


def test_an_endpoint_is_held_for_as_long_as_was_said_and_no_other_is(slot: Slot) -> None:
    """One that says 401 for "not allowed" must not stop the others."""
    assert not unhelpful.holds(slot, "GET /v3/x", 1000, 30)
    unhelpful.note(slot, "GET /v3/x", 1000)
    assert unhelpful.holds(slot, "GET /v3/x", 1029.9, 30)
    assert not unhelpful.holds(slot, "GET /v3/x", 1030, 30)
    assert not unhelpful.holds(slot, "GET /v3/y", 1000, 30)


def test_four_that_did_not_help_are_as_many_as_are_tried(slot: Slot) -> None:
    """A suspended account is refused everywhere."""
    assert not unhelpful.is_at_ceiling(slot, 1000, 30)
    for number in range(4):
        assert not unhelpful.is_at_ceiling(slot, 1000 + number, 30)
        unhelpful.note(slot, f"GET /v3/{'abcd'[number]}", 1000 + number)
    assert unhelpful.is_at_ceiling(slot, 1029.9, 30)
    assert not unhelpful.is_at_ceiling(slot, 1030, 30)


def test_what_is_over_is_forgotten(slot: Slot) -> None:
    """A process of months must not gather endpoints."""
    unhelpful.note(slot, "GET /v3/x", 1000)
    assert not unhelpful.is_at_ceiling(slot, 1030, 30)
    assert slot.unhelpful is None
