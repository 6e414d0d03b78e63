"""The HTTP of token requests itself: its certificates, its proxy, its thread and its deadline."""

import errno
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import httpcore
import httpx
import pytest
from support import PATIENCE

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.origin import Origin
from daxko_auth.wire.http import certificates, new_async_transport, new_transport, proxy_for, run_within

DAXKO = Origin.of("https://api.daxko.com")


@pytest.mark.parametrize("new", [new_transport, new_async_transport])
def test_certificates_are_loaded_once(new: Callable[[Origin], Any]) -> None:
    """It is by far the slowest part of making a connection."""
    one, other = new(DAXKO)._pool, new_transport(DAXKO)._pool

    assert one._ssl_context is other._ssl_context


def test_other_settings_are_other_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever corrects a setting in a program that runs, a notebook for instance, need not start it again."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(CredentialsError, match=r"^SSL_CERT_FILE is "):
        new_transport(DAXKO)

    (tmp_path / "ca.pem").write_bytes(Path(certifi.where()).read_bytes())
    own = certificates()
    monkeypatch.delenv("SSL_CERT_FILE")

    assert own is not certificates()


def test_certificates_in_a_folder_are_found_by_their_hashes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OpenSSL looks at no other; without one, every server would be refused, with no word about the folder."""
    monkeypatch.setenv("SSL_CERT_DIR", f"/missing:{tmp_path}")
    (tmp_path / "ca.pem").touch()
    with pytest.raises(CredentialsError, match=r"^SSL_CERT_DIR is .* no certificate is found by its hash"):
        certificates()

    (tmp_path / "0123abcd.0").touch()
    assert certificates()


def test_certificates_that_came_with_httpx_may_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in one file may have been packed without them."""

    def lost() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    # With a folder that is looked at only afterwards, so that these settings are not known from before.
    monkeypatch.setenv("SSL_CERT_DIR", "/lost")
    monkeypatch.setattr(httpx, "create_ssl_context", lost)
    with pytest.raises(CredentialsError, match=r"^the certificates of the package certifi cannot be used: No such"):
        certificates()


def test_a_limit_on_files_is_blamed_on_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the authorities may be fine, and is read again once there is a file to be had."""

    def refuse(**_: object) -> None:
        raise OSError(errno.ENFILE, "Too many open files in system")

    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    with monkeypatch.context() as patched:
        patched.setattr(ssl, "create_default_context", refuse)
        with pytest.raises(CredentialsError, match=r"^a file that this process needs cannot be opened: .* in system"):
            new_transport(DAXKO)
    new_transport(DAXKO).close()


def test_the_url_of_a_proxy_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds a password as often as not."""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary@proxy.example:3128")

    assert "canary" not in repr(proxy_for(DAXKO))


def test_a_socks_proxy_is_used_where_its_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only without the package it is refused, by its name."""
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())

    found = proxy_for(DAXKO)

    assert found is not None
    assert (found.setting, found.url.reveal()) == ("ALL_PROXY", "socks5://proxy.example")


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
