"""
What went wrong on the way, as a sentence without a secret.

httpx's exceptions hold the whole request, body and bearer included, and so do the frames they come
through. They end here.
"""

import os
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

import httpx

from daxko_auth.model.errors import CredentialsError, UntrustedOriginError
from daxko_auth.model.masking import quote
from daxko_auth.model.secret import Secret
from daxko_auth.wire.http import is_out_of_files
from daxko_auth.wire.transports import AnswerTooLarge

#: What to try where no connection can be trusted.
UNTRUSTED_ADVICE: Final = (
    "Check DAXKO_BASE_URL and this machine's clock. If a proxy or firewall of your own signs its certificates, set "
    "SSL_CERT_FILE to a file of its authority"
)
# How a connection ends that TLS does not allow, and one that was merely cut.
_TLS, _CUT = "[SSL", "UNEXPECTED_EOF"


class FailureKind(Enum):
    """What an exception says about asking again."""

    #: No answer came; asking again can help.
    UNAVAILABLE = auto()
    #: TLS does not allow the connection; asking again does not change that.
    UNTRUSTED = auto()
    #: An answer came that cannot be read.
    UNREADABLE = auto()
    #: A setting of the environment cannot be used, and nothing was sent.
    SETTING = auto()
    #: It was about to go to another server, or to a proxy that could read it, and nothing was sent.
    MISDIRECTED = auto()
    #: None of these: a transport of somebody's own, or a mistake of ours.
    UNEXPECTED = auto()


def describe_failure(error: BaseException, secrets: Iterable[Secret]) -> tuple[FailureKind, str]:
    """Return the kind of failure and the rest of a sentence that begins with the endpoint's URL."""
    return _why_unsent(error) or _what_came(error, secrets)


def _why_unsent(error: BaseException) -> tuple[FailureKind, str] | None:
    if isinstance(error, CredentialsError):
        return FailureKind.SETTING, f"was sent nothing: {error}"
    if isinstance(error, UntrustedOriginError):
        return FailureKind.MISDIRECTED, f"was sent nothing: {error}"
    if isinstance(error, OSError | httpx.ConnectError) and not _can_open_a_file():
        # Whatever it is called: the resolver, for instance, then says that a name is not known.
        return FailureKind.UNAVAILABLE, (
            f"could not be reached: this process can open no other file ({type(error).__name__}). Close some, or raise "
            "the limit on open files (ulimit -n)"
        )
    return None


def _what_came(error: BaseException, secrets: Iterable[Secret]) -> tuple[FailureKind, str]:
    name = type(error).__name__
    match error:
        case AnswerTooLarge():
            return FailureKind.UNREADABLE, f"answered with a body that cannot be read ({name})"
        case httpx.TimeoutException():
            return FailureKind.UNAVAILABLE, f"did not answer in time ({name})"
        case httpx.LocalProtocolError():
            return FailureKind.UNEXPECTED, f"could not be asked ({name})"
        case httpx.RemoteProtocolError():
            # What was wrong; after a colon, the line of the answer that was.
            reason = _reason(str(error).partition(":")[0], secrets)
            return FailureKind.UNAVAILABLE, f"did not answer in HTTP ({name}: {reason})"
        case httpx.TransportError():
            reason = _reason(str(error), secrets)
            is_trusted = not reason.startswith(_TLS) or _CUT in reason
            kind = FailureKind.UNAVAILABLE if is_trusted else FailureKind.UNTRUSTED
            return kind, f"could not be reached ({name}: {reason})"
        case _:
            return FailureKind.UNEXPECTED, f"could not be asked ({name})"


def _reason(said: str, secrets: Iterable[Secret]) -> str:
    # Masked as a whole: a secret may itself end with a full stop.
    return (quote(said, secrets) or "").rstrip(".") or "no reason given"


def _can_open_a_file() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return not is_out_of_files(error)
    return True
