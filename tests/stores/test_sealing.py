"""What a store is given to keep: it opens for its owner, whole and as it was, and for nobody else."""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keeping import KEY, OTHERS, PASSWORD, REFRESH_TOKEN, USERNAME, key, token, whole
from redis_server import RedisServer

from daxko_auth import FileStore, RedisStore, TokenStore
from daxko_auth.model.secret import Secret
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.stores.sealing import entry_name, sealed, unsealed

TOKENS = st.builds(
    AccessToken,
    st.just(KEY.scope),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=2_000).map(Secret),
    st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - see timezones
    st.integers(1, 30 * 86_400),
)


@given(TOKENS)
def test_what_is_sealed_opens_as_it_was(kept: AccessToken) -> None:
    """To the microsecond: the newer of two tokens is told by its end."""
    opened = unsealed(KEY, sealed(KEY, kept))
    assert opened == kept
    assert whole(opened) == whole(kept)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_an_entry_that_was_moved_to_another_owner_does_not_open(other: TokenKey) -> None:
    """Whoever can write to the store can copy one entry over another; that must not give one customer's data away."""
    assert unsealed(other, sealed(KEY, token())) is None
    assert unsealed(KEY, sealed(other, token())) is None


@pytest.mark.parametrize("bit", range(8))
def test_an_entry_with_any_bit_changed_does_not_open(bit: int) -> None:
    """A disk that rots, or somebody who lengthens a token's life, must not be believed."""
    entry = sealed(KEY, token())
    for place in range(len(entry)):
        changed = bytearray(entry)
        changed[place] ^= 1 << bit
        assert unsealed(KEY, bytes(changed)) is None, place


def test_an_entry_cut_off_or_added_to_anywhere_does_not_open() -> None:
    """What a full disk or a power cut leaves is a miss, and no error."""
    entry = sealed(KEY, token())
    for length in range(len(entry)):
        assert unsealed(KEY, entry[:length]) is None, length
    assert unsealed(KEY, entry + b"\0") is None
    assert unsealed(KEY, entry + entry) is None


@given(st.binary(max_size=300))
def test_rubbish_does_not_open_and_raises_nothing(rubbish: bytes) -> None:
    """Stores are shared with other versions, other programs and editors."""
    version = sealed(KEY, token()).partition(b"\n")[0]
    assert unsealed(KEY, rubbish) is None
    assert unsealed(KEY, version + b"\n" + rubbish) is None


def test_an_entry_of_a_later_version_does_not_open() -> None:
    """While a fleet is being updated, the old version meets what the new one wrote."""
    entry = sealed(KEY, token())
    assert entry.startswith(b"daxko_auth 1\n")
    assert unsealed(KEY, entry.replace(b"daxko_auth 1\n", b"daxko_auth 2\n")) is None


def test_an_entry_shows_neither_the_token_nor_a_secret() -> None:
    """Backups, and other users of a Redis, see the bytes."""
    kept = token("that-nobody-may-read")
    entry = sealed(KEY, kept)
    for secret in (kept.reveal(), USERNAME, PASSWORD, REFRESH_TOKEN):
        assert secret.encode() not in entry


def test_the_same_token_never_looks_the_same_twice() -> None:
    """A nonce that repeats gives AES-GCM away; one that is random also hides that nothing has changed."""
    entries = [sealed(KEY, token()) for _ in range(1_000)]
    begin = len(b"daxko_auth 1\n")
    assert len({entry[begin : begin + 12] for entry in entries}) == len(entries)


def test_each_owner_has_a_name_of_its_own_and_always_the_same() -> None:
    """Processes find each other's tokens by it, and a rotated password leaves the old ones behind."""
    names = {entry_name(owner) for owner in (KEY, *OTHERS.values())}
    assert len(names) == 1 + len(OTHERS)
    assert entry_name(key()) == entry_name(KEY)


def test_a_name_is_the_daxko_client_and_thirty_two_digits() -> None:
    """It has to do as a file's name and as a key; an operator sees whose it is."""
    assert re.fullmatch(r"9999-[0-9a-f]{32}", entry_name(KEY))


def test_a_name_cannot_be_guessed_from_what_others_know() -> None:
    """A plain hash of a username or a password can be checked against a list of guesses; here each secret is needed."""
    digits = entry_name(KEY).partition("-")[2]
    # Whoever has guessed the password, and knows all but the refresh token, is no further.
    guesses = [
        "".join(parts).encode()
        for separator in ("", "\0", ":", "\n", "|")
        for parts in [
            (USERNAME,),
            (PASSWORD,),
            (REFRESH_TOKEN,),
            (USERNAME, separator, PASSWORD),
            (KEY.origin, separator, USERNAME, separator, KEY.scope.wire),
        ]
    ]
    for algorithm in hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}:
        for guess in guesses:
            assert not hashlib.new(algorithm, guess, usedforsecurity=False).hexdigest().startswith(digits)
    for secret in (USERNAME, PASSWORD, REFRESH_TOKEN):
        assert secret not in entry_name(KEY)
        assert secret.encode().hex() not in digits


@pytest.mark.parametrize("make", [lambda _: FileStore("tokens"), RedisStore], ids=["files", "Redis"])
def test_a_store_that_is_asked_about_something_else_says_what_to_pass(
    shared_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[str], TokenStore]
) -> None:
    """A store can be asked explicitly, and a key is easily taken for its scope."""
    monkeypatch.chdir(tmp_path)
    store, wrong = make(shared_redis.url), cast("Any", "canary-of-a-password")
    asked: list[Callable[[], object]] = [
        lambda: store.read(wrong),
        lambda: store.write(wrong, token()),
        lambda: store.drop(wrong, token()),
        lambda: store.turn(wrong, 0).__enter__(),
    ]
    for ask in asked:
        with pytest.raises(
            TypeError, match=r"^key is a TokenKey, not str; pass TokenKey\(origin, credentials, ClientS"
        ):
            ask()
    with pytest.raises(TypeError, match=r"^token is an AccessToken, not str; pass what token\(\)"):
        store.write(KEY, wrong)
