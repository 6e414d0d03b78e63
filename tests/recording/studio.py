"""
Plays every case and keeps its cassette: against a sandbox of our own, or against Daxko itself.

A cassette is kept only if it holds one exchange and the guard finds nothing in it. Nothing is sent to
Daxko unless that was asked for by name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpcore
import httpx

from daxko_auth import AccessToken, ApiCredentials, CredentialsError, Secret
from daxko_auth.facts.credentials import base_url_from_env
from daxko_auth.facts.vendor import DEFAULT_BASE_URL, EXAMPLE_MEMBER_NAME, EXAMPLE_MEMBER_PASSWORD
from daxko_auth.sandbox import Sandbox
from recording import placeholders
from recording.cases import CASES, Case
from recording.cassette import record, silence
from recording.guard import leaks
from recording.scrubber import Scrubber
from recording.stage import Stage

_MEMBER_NAME: Final = "DAXKO_MEMBER_USERNAME"
_MEMBER_PASSWORD: Final = "DAXKO_MEMBER_PASSWORD"


class RecordingError(Exception):
    """A case could not be recorded; its cassette was not kept."""


class Forwarder(httpx.MockTransport):
    """
    Carries requests for Daxko's address to a sandbox, over a real socket.

    By httpcore, which vcrpy does not patch: what is recorded is the request for Daxko's address.
    """

    def __init__(self, base_url: str, pool: httpcore.ConnectionPool) -> None:
        def forward(request: httpx.Request) -> httpx.Response:
            url = base_url + request.url.raw_path.decode("ascii")
            answer = pool.request(request.method, url, headers=request.headers.raw, content=request.read())
            return httpx.Response(answer.status, headers=answer.headers, content=answer.content)

        super().__init__(forward)


def record_sandbox(directory: Path) -> list[Path]:
    """Record every case into `directory`, each against a sandbox of its own, and return the files."""
    return [_record_at_sandbox(case, directory) for case in CASES]


def record_live(directory: Path, client_id: int, environ: Mapping[str, str]) -> list[Path]:
    """
    Record the cases that make sense against Daxko, and return the files.

    Raises:
        CredentialsError: a setting is missing or ill-formed; nothing was sent.
        RecordingError: Daxko gave no access token, or a cassette could not be kept.
    """
    credentials = ApiCredentials.from_env(environ)
    if (_MEMBER_NAME in environ) != (_MEMBER_PASSWORD in environ):
        msg = f"set both {_MEMBER_NAME} and {_MEMBER_PASSWORD}, or neither: then no member signs in"
        raise CredentialsError(msg)
    has_member = bool(environ.get(_MEMBER_NAME) and environ.get(_MEMBER_PASSWORD))
    stage = Stage(
        credentials,
        NO_TOKEN_YET,
        Secret(environ.get(_MEMBER_PASSWORD) or EXAMPLE_MEMBER_PASSWORD),
        environ.get(_MEMBER_NAME) or EXAMPLE_MEMBER_NAME,
        client_id,
        base_url_from_env(environ) or DEFAULT_BASE_URL,
    )
    stage = _with_token(stage)
    cases = [case for case in CASES if case.live and (has_member or not case.at_member_endpoint)]
    return [_record(case, stage, directory, "Daxko") for case in cases]
