"""A secret shows its fingerprint to whoever does not ask for the value."""

import copy
import hashlib
import json
import logging
import pickle
import pprint
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from leaks.rendering import rendered

from daxko_auth import AccessToken, ApiCredentials, ClientScope, MemberToken
from daxko_auth.model.secret import MaskedFields, Secret, fingerprint

CANARY = "canary-of-the-secret-7c1f"
SHOWN = Secret(CANARY).fingerprint

WAYS_TO_SHOW: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "format to a width": lambda secret: format(secret, ">60"),
    "f-string": lambda secret: f"{secret}",
    "f-string of the repr": lambda secret: f"{secret!r}",
    "f-string, ASCII": lambda secret: f"{secret!a:<40}",
    "percent s": lambda secret: "%s" % secret,  # noqa: UP031 - what old programs do
    "percent r": lambda secret: "%r" % secret,  # noqa: UP031 - what old programs do
    "join of str": lambda secret: " ".join(map(str, [secret])),
    "pprint": lambda secret: pprint.pformat({"password": [secret]}),
    "repr of a container": lambda secret: repr({"password": (secret, [secret])}),
    "json with default=str": lambda secret: json.dumps({"password": secret}, default=str),
}


@pytest.mark.parametrize("show", WAYS_TO_SHOW.values(), ids=WAYS_TO_SHOW.keys())
def test_every_way_to_print_a_secret_prints_its_fingerprint(show: Callable[[Secret], str]) -> None:
    """Values end up in logs by being printed, and nobody prints one on purpose."""
    shown = show(Secret(CANARY))
    assert SHOWN in shown
    assert "canary" not in shown


def test_a_logged_secret_is_a_fingerprint(caplog: pytest.LogCaptureFixture) -> None:
    """Logging formats late and keeps the arguments, so both the text and the record are looked at."""
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("a.program").debug("password %s, %r", Secret(CANARY), Secret(CANARY))
    assert caplog.text.count(SHOWN) == 2
    assert "canary" not in caplog.text
    assert all("canary" not in repr(record.__dict__) for record in caplog.records)


def test_json_refuses_a_secret() -> None:
    """A secret must not slip into a file because somebody dumps a settings object."""
    with pytest.raises(TypeError) as caught:
        json.dumps(Secret(CANARY))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_refused_with_what_to_do_instead(protocol: int) -> None:
    """A pickle is a file or a message to another process: the value would lie there in clear."""
    with pytest.raises(TypeError) as caught:
        pickle.dumps({"nested": [Secret(CANARY)]}, protocol)
    assert str(caught.value) == (
        "a secret is not pickled. Let the other process read its own credentials (ApiCredentials.from_env() there, "
        "or the names of files) and ask a TokenSource of its own for tokens"
    )


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_same_secret(duplicate: Callable[[Secret], Secret]) -> None:
    """Programs copy settings; one more holder of the value would be one more place to look after."""
    secret = Secret(CANARY)
    assert duplicate(secret) is secret


def test_secrets_are_equal_by_value_and_hash_alike() -> None:
    """Tokens are told apart by their secret, in dictionaries too."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert {Secret("a"): 1}[Secret("a")] == 1
    assert hash(Secret("a")) != hash(Secret("b"))
    assert Secret("naïve \udc80") == Secret("naïve \udc80")


def test_a_secret_is_not_equal_to_its_own_text() -> None:
    """Otherwise a failing assertion in a user's test would print the value beside it."""
    assert Secret("a") != "a"
    assert hash(Secret("a")) != hash("a")


@pytest.mark.parametrize(("value", "expected"), [("", False), (" ", True), ("0", True)])
def test_only_a_blank_secret_is_false(value: str, expected: bool) -> None:
    """Settings are asked with `if password:`."""
    assert bool(Secret(value)) is expected


def test_a_secret_does_not_change() -> None:
    """A token that is shared between threads must be the same for all of them."""
    secret = Secret("a")
    with pytest.raises(AttributeError, match="does not change"):
        secret._value = "b"
    with pytest.raises(AttributeError, match="does not change"):
        secret.other = "b"
    with pytest.raises(AttributeError, match="does not change"):
        del secret._value
    assert secret.reveal() == "a"
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("value", [CANARY.encode(), None, 7, [CANARY], Secret(CANARY)])
def test_only_text_can_be_a_secret_and_a_refusal_does_not_quote_it(value: object) -> None:
    """Bytes from a vault are an easy mistake, and error reporters print the locals of every frame."""
    with pytest.raises(TypeError, match=f"not {type(value).__name__}") as caught:
        Secret(value)  # type: ignore[arg-type]
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in report.stack if "daxko_auth" in frame.filename]
    assert ours
    assert "canary" not in repr([frame.locals for frame in ours])
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("value", [CANARY, "", "a", "ü", "\udc80", "a" * 100_000])
def test_a_fingerprint_is_eight_hexadecimal_digits_and_no_part_of_the_value(value: str) -> None:
    """The beginning of a token is enough to find it in a log; a keyed hash is not."""
    shown = Secret(value).fingerprint
    assert len(shown) == 8
    assert set(shown) <= set("0123456789abcdef")
    assert shown not in value
    assert not value.startswith(shown[:4])


def test_equal_secrets_have_equal_fingerprints_and_others_have_others() -> None:
    """That is what a fingerprint is for: to follow one token through a log."""
    assert Secret(CANARY).fingerprint == Secret(CANARY).fingerprint == fingerprint(CANARY.encode())
    assert len({Secret(f"{CANARY}{number}").fingerprint for number in range(500)}) > 495


def test_another_process_has_other_fingerprints() -> None:
    """Without a key of the process, a log could be compared with a list of guessed passwords."""
    code = f"from daxko_auth.model.secret import Secret; print(Secret({CANARY!r}).fingerprint)"
    shown = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert len(shown) == 8
    assert shown != SHOWN


def test_a_fingerprint_is_no_digest_that_a_dictionary_of_guesses_has() -> None:
    """It is keyed; without the key, a log that holds one could be searched for the passwords everybody uses."""
    guess = hashlib.sha256(b"hunter2").hexdigest()

    assert not guess.startswith(Secret("hunter2").fingerprint)


def test_a_secret_is_laid_out_like_any_other_text() -> None:
    """A table of tokens keeps its columns."""
    secret = Secret("a")

    assert f"{secret:>30}" == repr(secret).rjust(30)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_of_fields_is_the_same_fields(duplicate: Callable[[MaskedFields], MaskedFields]) -> None:
    """As with a secret: programs copy whole answers, and none of them may end in a plain dictionary."""
    fields = MaskedFields({"access_token": CANARY})

    assert duplicate(fields) is fields


def test_fields_show_their_names_and_pickle_nothing() -> None:
    """Any of them may be secret, known to this library or not."""
    fields = MaskedFields({"access_token": CANARY, "more": 1})

    assert repr(fields) == "<fields access_token, more>"
    assert repr(MaskedFields({})) == "<fields none>"
    with pytest.raises(TypeError) as caught:
        pickle.dumps(fields)
    assert str(caught.value) == (
        "the fields of an answer may be secret and are not pickled; pass on the values that are needed, by name"
    )


@pytest.mark.parametrize("name", ["value", "_value"])
def test_a_new_value_that_is_refused_is_in_no_traceback(name: str) -> None:
    """It is the new password."""
    with pytest.raises(AttributeError, match="a secret does not change") as caught:
        setattr(Secret("old"), name, "canary-of-a-new-one")

    assert "canary" not in rendered(caught.value)


@pytest.mark.parametrize(
    "made",
    [
        ApiCredentials("ann", "a-password", "a.refresh.token"),
        AccessToken(ClientScope(9999), Secret("a-token"), datetime.now(UTC), 60),
        MemberToken(Secret("a-token"), datetime.now(UTC), 60, {}),
        ClientScope(9999),
    ],
    ids=lambda made: type(made).__name__,
)
def test_what_holds_secrets_does_not_change_and_shows_no_new_value(made: object) -> None:
    """Whoever rotates a password may try to set it."""
    with pytest.raises(AttributeError) as caught:
        setattr(made, "password", "canary-of-a-new-one")  # noqa: B010 - as typed checkers would refuse it

    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    theirs = [frame.f_locals for frame in frames if frame.f_code.co_filename != __file__]
    assert theirs
    assert "canary" not in repr(theirs)
