"""Endpoints at which a renewal did not help: for how long, and how many."""

import pytest

from daxko_auth import ApiCredentials, ClientScope, TokenKey
from daxko_auth.policy import holds
from daxko_auth.policy.flight import Slot

HOLD = 30.0
UUID = "0b0f4b9e-3a5c-4f0e-9d7a-5f6f3f1f2a3b"


@pytest.fixture
def slot() -> Slot:
    """Give a slot at which every renewal has helped so far."""
    credentials = ApiCredentials("daxko_api_user", "a-password", "a-refresh-token")
    return Slot(TokenKey("https://api.daxko.com", credentials, ClientScope(9999)))


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v3/members/17", "GET /v3/members/*"),
        ("/v3/members/17/visits/2027", "GET /v3/members/*/visits/*"),
        ("/17/18", "GET /*/*"),
        (f"/v3/members/{UUID}", "GET /v3/members/*"),
        (f"/v3/members/{UUID.upper()}/visits", "GET /v3/members/*/visits"),
        ("/v3/members/17/", "GET /v3/members/*/"),
        ("/v3/members", "GET /v3/members"),
        ("/v3/members/17a", "GET /v3/members/17a"),
        ("/v3/members/a17", "GET /v3/members/a17"),
        ("/v3/members/17.json", "GET /v3/members/17.json"),
        ("/v3/members/\u0661\u0662", "GET /v3/members/\u0661\u0662"),
        (f"/v3/members/{UUID}0", f"GET /v3/members/{UUID}0"),
        ("/v3/members/17\n", "GET /v3/members/17\n"),
        ("", "GET "),
    ],
)
def test_calls_that_differ_by_a_number_or_a_uuid_are_of_one_endpoint(path: str, endpoint: str) -> None:
    """A thousand members, each with a path of its own, must not be a thousand renewals; `v3` is no such number."""
    assert holds.endpoint_of("get", path) == endpoint


def test_the_methods_of_a_path_are_endpoints_of_their_own() -> None:
    """Whoever may read may not be allowed to write."""
    assert holds.endpoint_of("GET", "/v3/members") != holds.endpoint_of("POST", "/v3/members")


def test_a_long_path_takes_no_more_memory_than_a_short_one() -> None:
    """Its beginning stands for all."""
    assert holds.endpoint_of("GET", "/a" * 1_000) == "GET " + "/a" * 250


def test_a_hold_is_of_its_endpoint_and_ends_on_the_second(slot: Slot) -> None:
    """Until then the 401s there are handed over; everywhere else a renewal may still help."""
    assert not holds.is_held(slot, "GET /a", 100, HOLD)
    holds.begin(slot, "GET /a", 100)

    assert holds.is_held(slot, "GET /a", 100 + HOLD - 0.25, HOLD)
    assert not holds.is_held(slot, "GET /b", 100, HOLD)
    assert not holds.is_held(slot, "GET /a", 100 + HOLD, HOLD)


def test_a_hold_counts_from_the_last_time(slot: Slot) -> None:
    """It did not help once more."""
    holds.begin(slot, "GET /a", 100)
    holds.begin(slot, "GET /a", 110)

    assert holds.is_held(slot, "GET /a", 110 + HOLD - 0.25, HOLD)


def test_four_endpoints_within_a_hold_are_the_ceiling(slot: Slot) -> None:
    """An account that is suspended gets a 401 everywhere: after four renewals in vain, no fifth."""
    assert not holds.is_at_ceiling(slot, 100, HOLD)
    for number in range(3):
        holds.begin(slot, f"GET /{'abc'[number]}", 100 + number)
        holds.begin(slot, f"GET /{'abc'[number]}", 100 + number)
    assert not holds.is_at_ceiling(slot, 102, HOLD)
    holds.begin(slot, "GET /d", 103)

    assert holds.is_at_ceiling(slot, 103, HOLD)
    assert holds.is_at_ceiling(slot, 100 + HOLD - 0.25, HOLD)
    assert not holds.is_at_ceiling(slot, 100 + HOLD, HOLD), "the first of them is over"


def test_what_is_over_takes_no_memory(slot: Slot) -> None:
    """A source lives for as long as its program."""
    holds.begin(slot, "GET /a", 100)
    assert not holds.is_at_ceiling(slot, 100 + HOLD - 0.25, HOLD)
    assert slot.unhelpful is not None

    assert not holds.is_at_ceiling(slot, 100 + HOLD, HOLD)
    assert slot.unhelpful is None
