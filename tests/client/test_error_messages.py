"""
Every error as a user meets it: provoked by every entry, written down in `error_messages.txt`, and judged by rule.

A message that changes on purpose is written down anew, and the diff is for a reviewer to read:

    UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/client/test_error_messages.py

An error without an entry is a failing test: `provocations.py` says how each comes about.
"""

import copy
import os
import pickle
import re
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen
from error_sites import Reached
from leaks.needles import found_in
from provocations import CANARY, MEMBER_PASSWORD, PASSWORD, PROVOCATIONS, staged
from rich.traceback import Traceback

from daxko_auth import (
    AccessToken,
    CredentialsError,
    DaxkoAuthError,
    MemberLoginRefused,
    MemberToken,
    TokenRequestError,
    UntrustedOriginError,
)
from daxko_auth.model.vendor import MEMBER_TOKEN_ENDPOINT, PARTNER_TOKEN_ENDPOINT
from daxko_auth.sandbox import Sandbox

SNAPSHOT: Final = Path(__file__).with_name("error_messages.txt")
ATTRIBUTES: Final = ("server_said", "scope", "status_code", "error", "error_description", "retryable", "retry_after")
#: What the message is made of.
PARTS: Final = ("what", "advice")
ENDPOINTS: Final = frozenset({PARTNER_TOKEN_ENDPOINT.path, MEMBER_TOKEN_ENDPOINT.path})


@frozen
class Met:
    """An error that was met, and what was known when it was."""

    words: str
    error: Exception
    home: str
    folder: Path
    #: The token endpoints that were asked.
    asked: frozenset[str]
    #: Tokens that were there.
    tokens: tuple[str, ...]

    @property
    def message(self) -> str:
        """What the error says, with nothing in it that differs from run to run."""
        return re.sub(r"(?<=127\.0\.0\.1:)[0-9]{2,}", "PORT", str(self.error)).replace(str(self.folder), "/FOLDER")

    @property
    def entry(self) -> str:
        """The paragraph of the snapshot."""
        kind = type(self.error).__name__
        lines = [self.words, *textwrap.wrap(f"{kind}: {self.message}", 112, break_on_hyphens=False)]
        attributes = {name: getattr(self.error, name) for name in ATTRIBUTES if hasattr(self.error, name)}
        if attributes:
            lines.append(", ".join(f"{name}={value!r}" for name, value in attributes.items()))
        return "\n    ".join(lines)


class Everybody:
    """Every error, met once in each world."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._met: dict[str, list[Met]] = {}
        self.reached = Reached()

    def met_in(self, world: str) -> list[Met]:
        """Provoke them all, unless that was done before."""
        if world not in self._met:
            self._met[world] = [self._meet(words, world) for words in PROVOCATIONS]
        return self._met[world]

    def _meet(self, words: str, world: str) -> Met:
        tokens: list[AccessToken | MemberToken] = []
        with pytest.MonkeyPatch.context() as monkeypatch, staged(world, self._folder) as stage:
            self.reached.watch(monkeypatch)
            for kind in (AccessToken, MemberToken):
                _note_made(monkeypatch, kind, tokens)
            try:
                PROVOCATIONS[words](stage)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what a user would see
                asked = {arrival.path for arrival in stage.sandbox.log} & ENDPOINTS
                # This frame is in the traceback, so no local of it may hold them.
                home, there = stage.sandbox.base_url, self._folder
                return Met(words, error, home, there, frozenset(asked), _revealed(stage.sandbox, tokens))
        raise AssertionError(f"nothing happened: {words}")


def _revealed(sandbox: Sandbox, tokens: list[AccessToken | MemberToken]) -> tuple[str, ...]:
    return (sandbox.refresh_token, *(token.reveal() for token in tokens))


def _note_made(monkeypatch: pytest.MonkeyPatch, kind: type, made: list[AccessToken | MemberToken]) -> None:
    make = kind.__init__

    def noted(token: AccessToken | MemberToken, *args: object) -> None:
        make(token, *args)
        made.append(token)

    monkeypatch.setattr(kind, "__init__", noted)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Everybody:
    """Provoke each error once for all tests of this module."""
    return Everybody(tmp_path_factory.mktemp("files"))


@pytest.fixture(params=["thread", "asyncio", "trio"])
def met(request: pytest.FixtureRequest, everybody: Everybody) -> list[Met]:
    """Give every error as it is met in one world."""
    return everybody.met_in(request.param)


def test_every_message_is_the_one_that_was_reviewed(met: list[Met]) -> None:
    """What people read at 3 a.m. does not change by accident, and is the same for threads and tasks."""
    said = "\n\n".join(each.entry for each in met) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(said, "utf-8")
    assert said.split("\n\n") == SNAPSHOT.read_text("utf-8").split("\n\n")


def test_every_place_that_makes_an_error_is_provoked(everybody: Everybody) -> None:
    """A new error without an entry would be reviewed by nobody."""
    everybody.met_in("thread")
    everybody.met_in("asyncio")
    everybody.met_in("trio")
    assert sorted(map(str, everybody.reached.known - everybody.reached.sites)) == [], "no entry of the snapshot"
    assert sorted(map(str, everybody.reached.unknown)) == [], "not found in the source"


def test_every_message_names_what_it_is_about(met: list[Met]) -> None:
    """Which setting, which scope, which endpoint, which origin: an operator has many of each."""
    for each in met:
        message = str(each.error)
        match each.error:
            case TokenRequestError() | MemberLoginRefused():
                assert re.fullmatch(r"client:[1-9][0-9]*", each.error.scope)
                assert each.error.scope in message
                # Before the answer came, or anybody was asked.
                is_closed = "is closed" in message or "Python is shutting down" in message
                assert is_closed or not each.asked or any(f"{each.home}{path} " in message for path in ENDPOINTS)
            case UntrustedOriginError():
                assert f"stays with {each.home};" in message
            case CredentialsError():
                subjects = "base_url|scope|source|username|password|refresh_token|DAXKO_[A-Z_]+|/v3/[a-z0-9/]+"
                subjects += "|SSL_CERT_FILE|HTTPS_PROXY|a file that this process needs"
                assert re.match(rf"(the |both )?({subjects})\b", message), message
            case _:
                pass


# How an instruction begins. A message may use another; then its verb is added here, by somebody who has read it.
VERBS: Final = frozenset(
    {
        *(
            "ask",
            "check",
            "copy",
            "correct",
            "decode",
            "keep",
            "leave",
            "let",
            "look",
            "pass",
            "put",
            "raise",
            "rename",
        ),
        *("report", "save", "set", "share", "unset", "use", "write"),
    }
)


def instructions(message: str) -> Iterator[str]:
    """Return the clauses of the last sentence that tell somebody to do something."""
    last = re.split(r"[.?] ", message)[-1]
    for clause in re.split(r"[,;:] (?:and |or |so )?", last):
        if clause.removeprefix("please ").removeprefix("Please ").partition(" ")[0].lower() in VERBS:
            yield clause


def test_every_message_ends_with_what_to_do_next(met: list[Met]) -> None:
    """What happened is half of a message; "now what?" is the other half."""
    for each in met:
        assert list(instructions(str(each.error))), each.message


def test_every_message_is_one_line_of_plain_sentences(met: list[Met]) -> None:
    """Messages go to logs, tickets and screens of eighty columns, and begin after a colon."""
    for each in met:
        message = str(each.error)
        assert message.isprintable()
        assert "  " not in message
        assert message == message.strip()
        assert not message.endswith((".", ";", ":", ","))
        words = re.sub(r"https?://\S+|\S*::\S*|\.{3}", "", message)
        assert re.search(r"[,;:.]{2}|\.\)|\( | \)| [,;:.] ", words) is None, message
        assert len(message) < 750
        assert str(each.error.args[0]) == message
        assert repr(each.error) == f"{type(each.error).__name__}({message!r})"


def test_every_error_travels_whole(met: list[Met]) -> None:
    """Between processes, and as the copy that each waiting caller gets."""
    for each in met:
        error = each.error
        for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - ours
            assert type(twin) is type(error)
            assert str(twin) == str(error)
            assert twin.args == error.args
            assert vars(twin) == vars(error)


# How much of each local rich shows here.
WHOLE: Final = {"show_locals": True, "locals_max_length": 10_000, "locals_max_string": 10_000}


def reports(error: BaseException) -> Iterator[str]:
    """Return all that programs and error reporters make of an error, with the locals of every frame."""
    chain: list[BaseException | None] = [error]
    for each in chain:
        if each is not None:
            yield from (
                str(each),
                repr(each),
                repr(each.args),
                repr(vars(each)),
                repr(getattr(each, "__notes__", None)),
            )
            chain += [each.__cause__, each.__context__]
            whole = traceback.TracebackException.from_exception(each, capture_locals=True)
            yield "".join(whole.format())
            yield "\n".join(repr(frame.locals) for frame in whole.stack)
            # What rich prints of locals, without printing it: that takes a tenth of a second each time.
            for stack in Traceback.extract(type(each), each, each.__traceback__, **WHOLE).stacks:
                yield "\n".join(
                    f"{name} = {node}" for frame in stack.frames for name, node in (frame.locals or {}).items()
                )


def test_no_error_shows_a_secret_to_anybody(met: list[Met]) -> None:
    """Not even to a reporter that renders the locals of all frames, the caller's included, and looks into values."""
    for each in met:
        shown = "\n".join(reports(each.error))
        assert f"{type(each.error).__name__}: " in shown
        assert CANARY not in shown, each.words
        assert not found_in(shown, [PASSWORD, MEMBER_PASSWORD, *each.tokens]), each.words


def test_no_error_has_a_past(met: list[Met]) -> None:
    """A cause or context would be httpx's, which holds the request: bearer, form and all."""
    for each in met:
        assert each.error.__cause__ is None
        assert each.error.__context__ is None, each.words
        assert not isinstance(each.error, DaxkoAuthError) or set(vars(each.error)) <= {*ATTRIBUTES, *PARTS}
