"""What an exception may tell: its kind, and of the reason only what cannot be an answer's own line."""

import errno
import os
from collections.abc import Callable

import httpx
import pytest

from daxko_auth.model.errors import CredentialsError, UntrustedOriginError
from daxko_auth.model.secret import Secret
from daxko_auth.wire.failure import FailureKind, describe_failure


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
    failure, sentence = describe_failure(httpx.RemoteProtocolError(reason), [])

    assert failure is FailureKind.UNAVAILABLE
    assert sentence == f"did not answer in HTTP (RemoteProtocolError: {told})"


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.RemoteProtocolError])
def test_the_end_of_a_reason_is_not_the_end_of_the_sentence(kind: type[httpx.TransportError]) -> None:
    """Full stops come off its end, and nothing else: a reason is what an operator searches for."""
    _, sentence = describe_failure(kind("...what was X.."), [])

    assert sentence.endswith(f"({kind.__name__}: ...what was X)")


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.RemoteProtocolError])
def test_a_secret_that_ends_with_a_full_stop_is_masked(kind: type[httpx.TransportError]) -> None:
    """Without its end it would be another text."""
    _, sentence = describe_failure(kind("what was canary..."), [Secret("canary...")])

    assert sentence.endswith(f"({kind.__name__}: what was ***)")


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), httpx.ConnectError("[Errno -2] Name or service not known")]
)
def test_a_process_that_can_open_no_other_file_is_told_so(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The resolver calls it an unknown name, and then somebody looks for days at a DNS that is fine."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", _refuse(errno.EMFILE))
        failure, sentence = describe_failure(error, [])

    assert failure is FailureKind.UNAVAILABLE
    assert sentence.endswith("raise the limit on open files (ulimit -n)")


def test_a_null_device_that_is_not_there_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some containers have none."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", _refuse(errno.ENOENT))
        _, sentence = describe_failure(httpx.ConnectError("Connection refused"), [])

    assert sentence == "could not be reached (ConnectError: Connection refused)"


def _refuse(number: int) -> Callable[..., int]:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_setting_that_cannot_be_used_is_told_in_its_own_words() -> None:
    """It names what to correct; nothing was sent."""
    told = describe_failure(CredentialsError("HTTPS_PROXY is not the URL of a proxy. Write one"), [])

    assert told == (FailureKind.SETTING, "was sent nothing: HTTPS_PROXY is not the URL of a proxy. Write one")


def test_what_was_about_to_go_elsewhere_is_a_kind_of_its_own() -> None:
    """Nothing was sent, and asking again would change nothing."""
    told = describe_failure(UntrustedOriginError("it was to go elsewhere"), [])

    assert told == (FailureKind.MISDIRECTED, "was sent nothing: it was to go elsewhere")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", FailureKind.UNTRUSTED),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", FailureKind.UNTRUSTED),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", FailureKind.UNTRUSTED),
        ("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol", FailureKind.UNAVAILABLE),
        ("[Errno 111] Connection refused", FailureKind.UNAVAILABLE),
    ],
)
def test_what_tls_does_not_allow_does_not_heal_in_a_second(reason: str, kind: FailureKind) -> None:
    """A connection that was cut in the middle of its handshake may."""
    assert describe_failure(httpx.ConnectError(reason), [])[0] is kind
