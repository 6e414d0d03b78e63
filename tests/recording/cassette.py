"""
Records a cassette, or replays one with the network shut.

A replay never records, never reaches a socket and never goes on without its cassette. While a recording
runs, vcrpy and the HTTP libraries are silent: vcrpy logs every answer before it is scrubbed.
"""

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn
from unittest import mock

# Imported early so that its logger exists when loggers are silenced.
import vcr.stubs.httpx_stubs  # noqa: F401
import yaml
from vcr import VCR
from vcr.cassette import Cassette
from vcr.record_mode import RecordMode

from daxko_auth.testing.cassettes import settings_with
from daxko_auth.testing.scrubber import Scrubber
from recording.placeholders import REPLAYED

#: Where the committed cassettes are.
CASSETTES: Final = Path(__file__).resolve().parent.parent / "cassettes"

_TALKATIVE: Final = frozenset({"vcr", "httpx", "httpcore"})


class NetworkTouchedError(AssertionError):
    """Something tried to reach the network during a replay."""


class NotReplayedError(AssertionError):
    """A cassette could not be replayed, or was not replayed to its end."""


@contextmanager
def record(path: Path, scrubber: Scrubber, *, origin: str) -> Iterator[Cassette]:
    """Record what is sent meanwhile into a new file at `path`; `origin` says for readers who answered."""
    if path.exists():
        raise FileExistsError(path)
    with silence(), _recorder(scrubber, RecordMode.ONCE, origin).use_cassette(str(path)) as cassette:
        yield cassette


@contextmanager
def replay(
    name: str, *, directory: Path = CASSETTES, scrubber: Scrubber | None = None, whole: bool = True
) -> Iterator[Cassette]:
    """
    Answer requests from the cassette of that name, and nothing else from anywhere.

    Raises:
        NotReplayedError: it is missing or empty, or, if `whole`, not all of it was asked for.
    """
    path = directory / f"{name}.yaml"
    # vcrpy would take a missing file for an empty cassette.
    if not path.is_file():
        msg = f"there is no cassette {path.name} in {directory}; scripts/record makes it"
        raise NotReplayedError(msg)
    scrubber = scrubber or Scrubber(REPLAYED, knows_all=True)
    with block_sockets(), _recorder(scrubber, RecordMode.NONE).use_cassette(str(path)) as cassette:
        if not len(cassette):
            msg = f"{path.name} holds no exchange; scripts/record makes it anew"
            raise NotReplayedError(msg)
        yield cassette
    if whole and not cassette.all_played:
        msg = f"{cassette.play_count} of {len(cassette)} exchanges of {path.name} were asked for"
        raise NotReplayedError(msg)


@contextmanager
def block_sockets() -> Iterator[None]:
    """Let nothing in this process connect, send to or look up another address."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise NetworkTouchedError("a replay must not touch the network")

    with ExitStack() as stack:
        for method in ("connect", "connect_ex", "sendto"):
            stack.enter_context(mock.patch.object(socket.socket, method, refuse))
        stack.enter_context(mock.patch.object(socket, "getaddrinfo", refuse))
        yield


@contextmanager
def silence() -> Iterator[None]:
    """Turn the loggers of vcrpy and of the HTTP libraries off, whatever their levels and handlers are."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if _is_talkative(name)]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _is_talkative(name: str) -> bool:
    return name.partition(".")[0] in _TALKATIVE


def _recorder(scrubber: Scrubber, mode: RecordMode, origin: str = "") -> VCR:
    recorder = VCR(record_mode=mode, serializer="cassette", **settings_with(scrubber))
    recorder.register_serializer("cassette", _Writer(origin))
    return recorder


class _Writer:
    """YAML with one line per value, the same on every machine, whether it has libyaml or not."""

    def __init__(self, origin: str) -> None:
        self._banner = f"# Made by scripts/record; not edited by hand. Answered by {origin}.\n"

    def serialize(self, cassette: dict[str, Any]) -> str:
        """Return the text of the file. It loads safely, because it is dumped safely."""
        return self._banner + yaml.dump(cassette, Dumper=yaml.SafeDumper, sort_keys=False, width=10_000)

    @staticmethod
    def deserialize(text: str) -> Any:
        """Read the text of a file; no tag of it can run code."""
        return yaml.safe_load(text)
