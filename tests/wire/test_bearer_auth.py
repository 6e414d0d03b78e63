"""Which bearer goes where: each of the two only to where it belongs, and only to one origin."""

from collections.abc import Callable

import httpx
import pytest

from daxko_auth.model.errors import CredentialsError, UntrustedOriginError
from daxko_auth.model.origin import Origin
from daxko_auth.model.vendor import BearerKind
from daxko_auth.sandbox import Sandbox
from daxko_auth.wire.http import BearerAuth

PARTNER = "/v3/partners/oauth2/token"
MEMBER = "/v3/members/oauth2/token"
RESOURCE = "/v3/programs/locations"


def never() -> str:
    """Reveal nothing: it must not come to that."""
    raise AssertionError


def send(sandbox: Sandbox, kind: BearerKind, url: str, reveal: Callable[[], str] = never) -> httpx.Response:
    """Send one request with a bearer of that kind."""
    auth = BearerAuth(kind, reveal, Origin.of(sandbox.base_url))
    with httpx.Client(auth=auth, headers={"Accept": "application/json"}) as http:
        return http.post(url)


@pytest.mark.parametrize(
    "path", [MEMBER, RESOURCE, "/", f"{PARTNER}/", f"{PARTNER}s", "/v3/partners/oauth2/members/token"]
)
def test_the_refresh_token_leaves_for_no_other_path(sandbox: Sandbox, path: str) -> None:
    """It is the long-lived secret; the guide allows one endpoint."""
    with pytest.raises(CredentialsError, match="does not take the refresh_token; nothing was sent"):
        send(sandbox, BearerKind.REFRESH_TOKEN, f"{sandbox.base_url}{path}")
    assert sandbox.log == []


@pytest.mark.parametrize("path", [PARTNER, f"{PARTNER}?a=b", f"{PARTNER}#top", "/v3/partners/oauth2/%74oken"])
def test_the_access_token_is_not_offered_where_the_refresh_token_belongs(sandbox: Sandbox, path: str) -> None:
    """A request that cannot succeed does not need to carry a secret."""
    with pytest.raises(CredentialsError, match=f"{PARTNER} does not take the access_token; nothing was sent"):
        send(sandbox, BearerKind.ACCESS_TOKEN, f"{sandbox.base_url}{path}")
    assert sandbox.log == []


@pytest.mark.parametrize("kind", BearerKind)
@pytest.mark.parametrize("path", [PARTNER, MEMBER, RESOURCE])
@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:{port}",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:9",
        "http://127.0.0.1:{port}@evil.example",
    ],
)
def test_no_bearer_leaves_for_another_origin(sandbox: Sandbox, kind: BearerKind, path: str, origin: str) -> None:
    """Not even for another name of the same machine: names change hands."""
    url = origin.format(port=httpx.URL(sandbox.base_url).port) + path
    with pytest.raises(UntrustedOriginError, match="was not sent"):
        send(sandbox, kind, url)
    assert sandbox.log == []


@pytest.mark.parametrize(
    ("kind", "path", "reached"),
    [
        (BearerKind.REFRESH_TOKEN, PARTNER, 400),
        (BearerKind.ACCESS_TOKEN, MEMBER, 401),
        (BearerKind.ACCESS_TOKEN, RESOURCE, 401),
    ],
)
def test_where_it_belongs_a_bearer_is_sent_once(sandbox: Sandbox, kind: BearerKind, path: str, reached: int) -> None:
    """A refusal is the caller's to judge; nothing here asks twice."""
    bearer = sandbox.refresh_token if kind is BearerKind.REFRESH_TOKEN else "some.access.token"
    assert send(sandbox, kind, f"{sandbox.base_url}{path}", lambda: bearer).status_code == reached
    (arrival,) = sandbox.log
    assert arrival.bearer == ("refresh_token" if kind is BearerKind.REFRESH_TOKEN else "other")


def test_a_bearer_of_its_own_replaces_another(sandbox: Sandbox) -> None:
    """Two Authorization headers would be nobody's."""
    auth = BearerAuth(BearerKind.REFRESH_TOKEN, lambda: "mine", Origin.of(sandbox.base_url))
    request = httpx.Request("POST", f"{sandbox.base_url}{PARTNER}", headers={"authorization": "Bearer another"})
    assert next(auth.auth_flow(request)).headers.get_list("authorization") == ["Bearer mine"]
