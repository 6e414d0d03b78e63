"""Access tokens and member tokens, as values."""

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from daxko_auth.model.scope import ClientScope
from daxko_auth.model.secret import Secret
from daxko_auth.model.tokens import EARLY_EXPIRY, AccessToken, MemberToken, early_expiry_of

END = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
SCOPE = ClientScope(9999)
TOKEN = AccessToken(SCOPE, Secret("canary"), END, 86_400)
MEMBER_TOKEN = MemberToken(Secret("canary"), END, 86_400, {"member_id": 7})


@pytest.mark.parametrize(
    ("life", "margin"), [(86_400, 60.0), (600, 60.0), (599, 59.9), (30, 3.0), (10, 1.0), (1, 0.1), (0, 0.0)]
)
def test_the_margin_is_at_most_a_tenth_of_the_life(life: float, margin: float) -> None:
    """A margin longer than the life made a fresh token "expired" elsewhere: one token request per call."""
    assert early_expiry_of(life) == pytest.approx(margin)
    assert early_expiry_of(life, 0) == 0


@pytest.mark.parametrize(
    ("life", "before_end", "expected"),
    [
        (86_400, 86_400, True),
        (86_400, 60.001, True),
        (86_400, 60, False),
        (86_400, 0, False),
        (86_400, -1, False),
        (30, 30, True),
        (30, 3.001, True),
        (30, 3, False),
    ],
)
def test_a_token_is_usable_until_the_margin_before_its_end(life: int, before_end: float, expected: bool) -> None:
    """A token must not die on its way to the server."""
    token = AccessToken(SCOPE, Secret("canary"), END, life)
    assert token.usable_at(END - timedelta(seconds=before_end)) is expected
    assert token.usable_at(END - timedelta(seconds=before_end), EARLY_EXPIRY) is expected


def test_the_margin_and_the_time_zone_are_the_callers() -> None:
    """An aware moment is a moment wherever it was read; a naive one is none."""
    elsewhere = (END - timedelta(seconds=30)).astimezone(timezone(timedelta(hours=-8)))
    assert not TOKEN.usable_at(elsewhere)
    assert TOKEN.usable_at(elsewhere, early_expiry=0)
    with pytest.raises(TypeError, match=r"^now is a naive datetime; pass an aware one"):
        TOKEN.usable_at(elsewhere.replace(tzinfo=None))


def test_a_margin_below_zero_is_refused() -> None:
    """It would call a token usable that has ended."""
    for margin in (-1, float("nan"), float("-inf")):
        with pytest.raises(ValueError, match=r"^early_expiry is a margin in seconds, at least 0$"):
            TOKEN.usable_at(END, margin)


@pytest.mark.parametrize("now", [1.0, 0, "2030-01-01", None, END.date()])
def test_now_is_a_datetime(now: Any) -> None:
    """Most programs have time.time() at hand."""
    with pytest.raises(TypeError, match=r"^now is an aware datetime, not .*; pass one, such as datetime.now\(UTC\)$"):
        TOKEN.usable_at(now)


@pytest.mark.parametrize("margin", ["5", None, True, timedelta(seconds=5), b"5"])
def test_a_margin_is_a_number(margin: Any) -> None:
    """A setting that was read from the environment is none yet."""
    with pytest.raises(TypeError, match=r"^early_expiry is a margin in seconds, not .*; pass a number, at least 0$"):
        TOKEN.usable_at(END, margin)


def test_two_tokens_are_equal_when_scope_and_secret_are() -> None:
    """`reject` drops exactly the refused token, also one that came back from a store with another expiry."""
    assert AccessToken(SCOPE, Secret("canary"), END + timedelta(days=1), 1) == TOKEN
    assert hash(AccessToken(SCOPE, Secret("canary"), END + timedelta(days=1), 1)) == hash(TOKEN)
    assert AccessToken(ClientScope(1234), Secret("canary"), END, 86_400) != TOKEN
    assert AccessToken(SCOPE, Secret("other"), END, 86_400) != TOKEN
    assert MemberToken(Secret("canary"), END, 1, {}) == MEMBER_TOKEN
    assert MemberToken(Secret("other"), END, 86_400, {}) != MEMBER_TOKEN


def test_a_repr_says_whose_and_until_when() -> None:
    """That is all a log needs; the fingerprint tells two of them apart."""
    assert repr(TOKEN) == f"<AccessToken {TOKEN.fingerprint} for client:9999, expires 2030-01-02T03:04:05Z>"
    assert repr(MEMBER_TOKEN) == f"<MemberToken {MEMBER_TOKEN.fingerprint}, expires 2030-01-02T03:04:05Z>"
    assert TOKEN.fingerprint == MEMBER_TOKEN.fingerprint == Secret("canary").fingerprint


@pytest.mark.parametrize("token", [TOKEN, MEMBER_TOKEN], ids=["access", "member"])
def test_a_token_is_revealed_on_demand_and_never_changes(token: Any) -> None:
    """Readers on other threads take scope, expiry and secret together, without a lock."""
    assert token.reveal() == "canary"
    assert copy.copy(token) == token
    for name in ("expires_at", "expires_in", "_secret", "another"):
        with pytest.raises(AttributeError):
            setattr(token, name, 0)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(token)


@pytest.mark.parametrize("token", [TOKEN, MEMBER_TOKEN])
def test_a_token_can_be_deeply_copied(token: object) -> None:
    """Programs copy the objects that hold one."""
    assert copy.deepcopy({"token": token}) == {"token": token}


def test_what_else_a_member_answer_says_is_kept_and_read_only() -> None:
    """Daxko's answer has fields the guide does not show; they are the user's to read, and not in the repr."""
    fields: dict[str, object] = {"member_id": 7, "refresh_token": "canary"}
    token = MemberToken(Secret("canary"), END, 86_400, fields)
    fields.clear()
    assert token.other_fields == {"member_id": 7, "refresh_token": "canary"}
    with pytest.raises(TypeError):
        token.other_fields["member_id"] = 8  # type: ignore[index]
    assert len(token.other_fields) == 2
    assert "canary" not in f"{token} {token.other_fields!r} {attrs.asdict(token)}"
    assert repr(MEMBER_TOKEN.other_fields) == "<fields member_id>"
