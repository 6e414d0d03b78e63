"""The HTTP of token requests itself: its certificates, its proxy, its thread and its deadline."""

import threading
from collections.abc import Callable
from typing import Any

import httpcore
import pytest
from support import PATIENCE

from daxko_auth.model.origin import Origin
from daxko_auth.wire.http import new_async_transport, new_transport, run_within

DAXKO = Origin.of("https://api.daxko.com")


@pytest.mark.parametrize("new", [new_transport, new_async_transport])
def test_certificates_are_loaded_once(new: Callable[[Origin], Any]) -> None:
    """It is by far the slowest part of making a connection."""
    one, other = new(DAXKO)._pool, new_transport(DAXKO)._pool

    assert one._ssl_context is other._ssl_context


@pytest.mark.parametrize(
    ("new", "kind"),
    [(new_transport, httpcore.HTTPProxy), (new_async_transport, httpcore.AsyncHTTPProxy)],
)
def test_the_proxy_of_the_environment_is_used_in_both_worlds(
    monkeypatch: pytest.MonkeyPatch, new: Callable[[Origin], Any], kind: type
) -> None:
    """Where there is one, nothing else leads out of the building."""
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")

    pool = new(DAXKO)._pool

    assert isinstance(pool, kind)
    assert pool._proxy_url.host == b"proxy.example"  # type: ignore[attr-defined]


def test_a_call_runs_on_a_thread_that_is_known_by_name_and_ends_with_the_program() -> None:
    """A server that never answers must not keep a program from ending, and a thread dump says whose it is."""
    thread = run_within(PATIENCE, threading.current_thread)

    assert (thread.name, thread.daemon) == ("daxko-auth exchange", True)


def test_a_call_is_left_behind_when_its_time_is_up() -> None:
    """A name that is never resolved has no timeout of its own."""
    gate = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            run_within(0.05, gate.wait)
    finally:
        gate.set()
