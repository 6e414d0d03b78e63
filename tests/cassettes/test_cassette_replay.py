"""
Every recorded exchange, replayed through the real library with the network shut: what its user would see.

What the library makes of an answer is asserted here, not how it sends again: no cassette can show that.
"""

import socket
import tomllib
from importlib.metadata import version
from pathlib import Path

import anyio
import httpx
import pytest
import yaml
from attrs import frozen
from recording import replay
from recording.cases import CASES, Case
from recording.cassette import CASSETTES, NetworkTouchedError, NotReplayedError
from recording.stage import RESOURCE, Stage
from vcr.errors import CannotOverwriteExistingCassetteException
from vcr.record_mode import RecordMode

from daxko_auth import (
    AccessToken,
    AsyncDaxko,
    Daxko,
    MemberLoginRefused,
    MemberToken,
    TokenEndpointUnavailable,
    TokenRefused,
)
from daxko_auth.model.vendor import ACCEPT
from daxko_auth.wire.member_login import Refusal

# vcrpy logs the answer it replays; the token in it is a placeholder.
pytestmark = pytest.mark.shows_secrets("log")


@frozen
class End:
    """How an exchange ends for the caller: a type of the library, or an answer that it hands over."""

    kind: type
    status: int | None = None
    error: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, outcome: object) -> "End":
        """Read it off what a case returned."""
        if isinstance(outcome, httpx.Response):
            return cls(httpx.Response, outcome.status_code, outcome.json().get("error"))
        facts = (getattr(outcome, name, None) for name in ("status_code", "error", "retry_after"))
        return cls(type(outcome), *facts)


ENDS = {
    "partner-granted": End(AccessToken),
    "partner-granted-second-client": End(AccessToken),
    "partner-wrong-bearer": End(TokenRefused, 401, "invalid_client"),
    "partner-access-token-as-bearer": End(httpx.Response, 401, "invalid_client"),
    "partner-no-bearer": End(httpx.Response, 401, "invalid_client"),
    "partner-wrong-password": End(TokenRefused, 400, "invalid_client"),
    "partner-scope-not-linked": End(TokenRefused, 400, "unauthorized_client"),
    "partner-malformed-scope": End(httpx.Response, 400, "invalid_scope"),
    "partner-missing-field": End(httpx.Response, 400, "invalid_request"),
    "partner-wrong-grant": End(httpx.Response, 400, "unsupported_grant_type"),
    "partner-json": End(httpx.Response, 400, "invalid_request"),
    "partner-urlencoded": End(httpx.Response, 400, "invalid_request"),
    "partner-no-accept": End(httpx.Response, 406, "invalid_request"),
    "partner-too-many": End(TokenEndpointUnavailable, 429, None, 7.0),
    "partner-unavailable": End(TokenEndpointUnavailable, 503),
    "member-signed-in": End(MemberToken),
    "member-signed-in-as-curl-sends-it": End(httpx.Response, 200),
    "member-wrong-password": End(MemberLoginRefused, 400, "invalid_grant"),
    "member-refresh-token-as-bearer": End(httpx.Response, 401, "invalid_token"),
    "member-wrong-bearer": End(Refusal),
    "member-expired-bearer": End(Refusal),
    "member-no-bearer": End(httpx.Response, 401, "invalid_token"),
    "member-wrong-grant": End(httpx.Response, 400, "unsupported_grant_type"),
    "member-wrong-scope": End(httpx.Response, 400, "invalid_scope"),
    "member-missing-field": End(httpx.Response, 400, "invalid_request"),
    "member-form": End(httpx.Response, 400, "invalid_request"),
    "member-no-accept": End(httpx.Response, 406, "invalid_request"),
    "member-too-many": End(TokenEndpointUnavailable, 429, None, 7.0),
    "member-unavailable": End(TokenEndpointUnavailable, 503),
    "resource-opened": End(httpx.Response, 200),
    "resource-expired-bearer": End(httpx.Response, 401, "invalid_token"),
    "resource-no-bearer": End(httpx.Response, 401, "invalid_token"),
    "resource-refresh-token-as-bearer": End(httpx.Response, 401, "invalid_token"),
}


@pytest.fixture
def stage() -> Stage:
    """Return the stage whose every secret is a placeholder."""
    return Stage.for_replay()


def test_every_case_has_a_cassette_and_every_cassette_a_case() -> None:
    """A cassette nobody replays proves nothing, and a case without one is a promise without proof."""
    assert sorted(ENDS) == sorted(case.name for case in CASES) == sorted(file.stem for file in CASSETTES.glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_recorded_exchange_ends_as_the_library_promises(case: Case, stage: Stage) -> None:
    """Each documented answer has one documented meaning for the caller."""
    with replay(case.name):
        outcome = case.play(stage)
    assert End.of(outcome) == ENDS[case.name]


def test_granted_token_is_the_answers_token_for_the_scope_asked(stage: Stage) -> None:
    """The string "86400" of the guide's answer becomes a number, and the scope is the one that was asked for."""
    with replay("partner-granted-second-client"):
        token = stage.ask(1234)
    assert isinstance(token, AccessToken)
    assert (token.scope.wire, token.expires_in, token.reveal()) == (
        "client:1234",
        86_400,
        "placeholder-access-token-1234",
    )


def test_expired_bearer_at_the_member_endpoint_is_not_the_members_fault(stage: Stage) -> None:
    """Whoever tells a member that the password is wrong, when our token was, locks the member out."""
    with replay("member-expired-bearer"):
        assert stage.sign_in() is Refusal.ACCESS_TOKEN


def test_members_sign_in_through_the_public_doors(stage: Stage) -> None:
    """What users call is what the cassettes were made for: Daxko for threads, AsyncDaxko for asyncio and trio."""
    name, password = stage.member_name, stage.member_password

    async def sign_in() -> MemberToken:
        async with AsyncDaxko(stage.credentials, stage.client_id, source=stage.source()) as daxko:
            return await daxko.member_token(name, password)

    with replay("member-signed-in"), Daxko(stage.credentials, stage.client_id, source=stage.source()) as daxko:
        assert daxko.member_token(name, password).reveal() == "placeholder-member-token"
    for backend in ("asyncio", "trio"):
        with replay("member-signed-in"):
            assert anyio.run(sign_in, backend=backend).reveal() == "placeholder-member-token"


def test_resource_is_opened_through_the_public_door(stage: Stage) -> None:
    """The access token at hand travels as the bearer, and the answer comes back as it is."""
    with replay("resource-opened"), Daxko(stage.credentials, stage.client_id, source=stage.source()) as daxko:
        assert daxko.http.get(RESOURCE).json()["client_id"] == stage.client_id


def test_replay_records_nothing_and_leaves_the_file_alone(stage: Stage) -> None:
    """A test run that rewrites its own evidence proves nothing."""
    file = CASSETTES / "partner-granted.yaml"
    before = file.read_bytes()
    with replay("partner-granted") as cassette:
        assert cassette.record_mode is RecordMode.NONE
        stage.ask()
        with pytest.raises(CannotOverwriteExistingCassetteException):
            stage.post_form()
    assert file.read_bytes() == before


def test_unrecorded_request_fails_and_reaches_no_socket(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that falls through would carry credentials to the real Daxko."""
    touched: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: touched.append(address))
    with replay("partner-granted", whole=False):
        with pytest.raises(CannotOverwriteExistingCassetteException):
            stage.send("/v3/elsewhere", bearer=stage.access_token)
        assert "CannotOverwriteExistingCassetteException" in str(stage.ask(1111))
    assert touched == []


def test_network_is_shut_during_a_replay_and_open_after_it() -> None:
    """The recorder sees httpx only; a socket opened by anything else must fail as loudly."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with replay("partner-granted", whole=False):
            with pytest.raises(NetworkTouchedError):
                socket.create_connection(address)
            with socket.socket() as plain, pytest.raises(NetworkTouchedError):
                plain.connect(address)
            with pytest.raises(NetworkTouchedError):
                socket.getaddrinfo("api.daxko.com", 443)
        with socket.create_connection(address):
            pass


def test_missing_or_empty_cassette_is_an_error(tmp_path: Path) -> None:
    """A recorder takes a missing file for an empty cassette, and other record modes would then go live."""
    with pytest.raises(NotReplayedError, match=r"there is no cassette nowhere\.yaml"), replay("nowhere"):
        pass
    (tmp_path / "empty.yaml").write_text("version: 1\ninteractions: []\n", encoding="utf-8")
    with pytest.raises(NotReplayedError, match="holds no exchange"), replay("empty", directory=tmp_path):
        pass


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"interactions: [", b"version: 1\n", b"!!python/object/apply:os.abort []\n"]
)
def test_a_cassette_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes) -> None:
    """A recorder that passes over a broken file goes on with the network; a tag of a stranger's could run code."""
    (tmp_path / "broken.yaml").write_bytes(content)
    with pytest.raises((NotReplayedError, ValueError, KeyError, yaml.YAMLError)), replay("broken", directory=tmp_path):
        pass


def test_the_recorder_is_none_that_a_cassette_could_run_code_in() -> None:
    """Older versions of vcrpy could be made to; the bound says so to whoever sets up anew."""
    settings = tomllib.loads((CASSETTES.parents[1] / "pyproject.toml").read_text("utf-8"))
    assert "vcrpy>=8.2.1,<10" in settings["project"]["optional-dependencies"]["testing"]
    assert tuple(map(int, version("vcrpy").split("."))) >= (8, 2, 1)


def test_exchange_that_nobody_asked_for_is_an_error() -> None:
    """Code that stopped sending a request would stay green."""
    with pytest.raises(NotReplayedError, match="0 of 1 exchanges"), replay("partner-granted"):
        pass


def test_recorded_requests_carry_the_accept_header_the_vendor_requires(stage: Stage) -> None:
    """A replay must not hide a lost header that Daxko answers with 406."""
    with replay("resource-opened"):
        stage.send(RESOURCE, method="GET", bearer=stage.access_token, accept=ACCEPT)
    with replay("resource-opened", whole=False), pytest.raises(CannotOverwriteExistingCassetteException):
        stage.send(RESOURCE, method="GET", bearer=stage.access_token, accept="text/html")
