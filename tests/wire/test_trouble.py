"""What an exception may tell: its kind, and of the reason only what cannot be an answer's own line."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from daxko_auth.wire.trouble import Trouble, what_happened, without_frames


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("illegal header line: bytearray(b'X-Canary: canary')", "illegal header line"),
        ("peer closed connection", "peer closed connection"),
        (": canary", "no reason given"),
    ],
)
def test_of_a_broken_answer_nothing_is_told_that_stood_in_it(reason: str, told: str) -> None:
    """The line that was wrong may be the one that holds a cookie."""
    trouble, sentence = what_happened(httpx.RemoteProtocolError(reason), [])

    assert trouble is Trouble.UNAVAILABLE
    assert sentence == f"did not answer in HTTP (RemoteProtocolError: {told})"


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.RemoteProtocolError])
def test_the_end_of_a_reason_is_not_the_end_of_the_sentence(kind: type[httpx.TransportError]) -> None:
    """Full stops come off its end, and nothing else: a reason is what an operator searches for."""
    _, sentence = what_happened(kind("...what was X.."), [])

    assert sentence.endswith(f"({kind.__name__}: ...what was X)")


@contextmanager
def _interrupted() -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise KeyboardInterrupt from None


def _raised() -> BaseException:
    """Give a Ctrl-C that came while an error was handled, with frames that hold the request."""
    with pytest.raises(KeyboardInterrupt) as caught, _interrupted():
        int("no number")
    return caught.value


def test_what_goes_on_to_the_caller_has_lost_every_frame() -> None:
    """Also those of what it interrupted: the locals of each of them are the request, bearer included."""
    error = _raised()
    assert error.__traceback__ is not None
    assert error.__context__ is not None
    assert error.__context__.__traceback__ is not None

    assert without_frames(error) is error

    assert error.__traceback__ is None
    assert error.__context__.__traceback__ is None
