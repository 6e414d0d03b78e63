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
from attrs import evolve

from daxko_auth import AccessToken, ApiCredentials, CredentialsError, Secret
from daxko_auth.model.credentials import base_url_from_env
from daxko_auth.model.vendor import DEFAULT_BASE_URL, EXAMPLE_MEMBER_NAME, EXAMPLE_MEMBER_PASSWORD
from daxko_auth.sandbox import Sandbox
from daxko_auth.testing import placeholders
from daxko_auth.testing.scan import leaks
from daxko_auth.testing.scrubber import Scrubber
from recording.cases import CASES, Case
from recording.cassette import record, silence
from recording.stage import Stage

_MEMBER_NAME: Final = "DAXKO_MEMBER_USERNAME"
_MEMBER_PASSWORD: Final = "DAXKO_MEMBER_PASSWORD"
_NO_TOKEN: Final = Secret("")


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
    name, password = environ.get(_MEMBER_NAME, ""), environ.get(_MEMBER_PASSWORD, "")
    if bool(name) != bool(password):
        msg = f"set both {_MEMBER_NAME} and {_MEMBER_PASSWORD}, or neither: then no member signs in"
        raise CredentialsError(msg)
    stage = Stage(
        credentials,
        _NO_TOKEN,
        Secret(password or EXAMPLE_MEMBER_PASSWORD),
        name or EXAMPLE_MEMBER_NAME,
        client_id,
        base_url_from_env(environ) or DEFAULT_BASE_URL,
    )
    stage = _with_token(stage)
    cases = [case for case in CASES if case.live and (name or not case.at_member_endpoint)]
    return [_record(case, stage, directory, "Daxko") for case in cases]


def _record_at_sandbox(case: Case, directory: Path) -> Path:
    with Sandbox() as sandbox, httpcore.ConnectionPool() as pool:
        credentials = ApiCredentials(sandbox.username, sandbox.password, sandbox.refresh_token)
        transport = Forwarder(sandbox.base_url, pool)
        stage = _with_token(Stage(credentials, _NO_TOKEN, Secret(EXAMPLE_MEMBER_PASSWORD), transport=transport))
        case.prepare(sandbox)
        return _record(case, stage, directory, "the sandbox of daxko-auth, which is not Daxko")


def _with_token(stage: Stage) -> Stage:
    with silence():
        outcome = stage.ask()
    if not isinstance(outcome, AccessToken):
        raise RecordingError(str(outcome))
    return evolve(stage, access_token=Secret(outcome.reveal()))


def _record(case: Case, stage: Stage, directory: Path, origin: str) -> Path:
    path = directory / f"{case.name}.yaml"
    # A real member has a name that is nobody else's business.
    names = {stage.member_name: EXAMPLE_MEMBER_NAME} if stage.member_name != EXAMPLE_MEMBER_NAME else {}
    scrubber = Scrubber(
        {
            stage.credentials.password.reveal(): placeholders.CLIENT_SECRET,
            stage.credentials.refresh_token.reveal(): placeholders.REFRESH_TOKEN,
            stage.access_token.reveal(): placeholders.ACCESS_TOKEN,
            stage.member_password.reveal(): placeholders.MEMBER_PASSWORD,
            **names,
        },
        knows_all=True,
    )
    with record(path, scrubber, origin=origin) as cassette:
        case.play(stage)
    found = leaks(path.read_text(encoding="utf-8"), scrubber.secrets) if len(cassette) else []
    if found or len(cassette) != 1:
        path.unlink(missing_ok=True)
        what = "; ".join(found) or f"{len(cassette)} exchanges instead of one"
        msg = f"{case.name} was not kept: {what}"
        raise RecordingError(msg)
    return path
