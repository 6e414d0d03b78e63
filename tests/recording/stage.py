"""
One API account at one address, and the calls that a case makes there with the real library.

The same calls are made when a cassette is recorded and when it is replayed; only the stage differs. What
the library would never send is sent with plain httpx.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import httpx
from attrs import field, frozen

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    DaxkoAuth,
    MemoryStore,
    RenewalPolicy,
    Secret,
    TokenKey,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.model.vendor import (
    ACCEPT,
    DEFAULT_BASE_URL,
    EXAMPLE_CLIENT_ID,
    EXAMPLE_MEMBER_NAME,
    EXAMPLE_USERNAME,
    MEMBER_TOKEN_ENDPOINT,
    PARTNER_TOKEN_ENDPOINT,
)
from daxko_auth.policy.source import origin_of
from daxko_auth.wire.http import new_transport
from daxko_auth.wire.member_login import LoginOutcome, MemberLogin
from recording import placeholders

#: Any resource; the sandbox answers each of them alike.
RESOURCE: Final = "/v3/programs/locations"

# A stage makes single exchanges; what is repeated is never tested with a cassette.
_ONCE: Final = RenewalPolicy(attempts=1)


class _Lent(httpx.BaseTransport):
    """Sends through a transport of somebody else's, and leaves it open."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self.handle_request = transport.handle_request  # type: ignore[method-assign]


@frozen
class Stage:
    """Who asks, and whom."""

    credentials: ApiCredentials
    #: One that was issued before, for `client_id`.
    access_token: Secret
    member_password: Secret
    member_name: str = EXAMPLE_MEMBER_NAME
    client_id: int = EXAMPLE_CLIENT_ID
    base_url: str = DEFAULT_BASE_URL
    #: None means the library's own.
    transport: httpx.BaseTransport | None = field(default=None, repr=False)

    @classmethod
    def for_replay(cls) -> Self:
        """Return the stage on which cassettes are replayed; every secret on it is a placeholder."""
        return cls(
            ApiCredentials(EXAMPLE_USERNAME, placeholders.REPLAYED_PASSWORD, placeholders.REPLAYED_REFRESH_TOKEN),
            Secret(placeholders.REPLAYED_ACCESS_TOKEN),
            Secret(placeholders.REPLAYED_MEMBER_PASSWORD),
        )

    def ask(
        self, client_id: int | None = None, *, password: str | None = None, refresh_token: str | None = None
    ) -> AccessToken | TokenRequestError:
        """Ask a new source for an access token, once, and return how that ended."""
        credentials = ApiCredentials(
            self.credentials.username,
            password or self.credentials.password,
            refresh_token or self.credentials.refresh_token,
        )
        with TokenSource(credentials, self.base_url, policy=_ONCE, http=self.transport) as source:
            try:
                return source.token(client_id or self.client_id)
            except TokenRequestError as error:
                return error

    def sign_in(self, *, password: str | None = None, bearer: Secret | None = None) -> LoginOutcome:
        """Sign the member in, once, and return how that ended."""
        login = MemberLogin(origin_of(self.base_url), httpx.Timeout(10))
        return login.request(
            self.token(bearer),
            self.member_name,
            Secret(password) if password else self.member_password,
            sent_at=time.time(),
            transport=self._transport(),
        )

    def get(self, path: str = RESOURCE) -> httpx.Response:
        """Open a resource with the access token at hand; a 401 is handed over as it is."""
        auth = DaxkoAuth(self.source(), self.client_id, replay=False)
        with httpx.Client(base_url=self.base_url, auth=auth, transport=_Lent(self._transport())) as http:
            return http.get(path, headers={"Accept": ACCEPT})

    def post_form(
        self, change: Mapping[str, str | None] | None = None, *, bearer: Secret | None = None, **options: object
    ) -> httpx.Response:
        """Post the partner form with some fields changed or, with None, left out; the boundary is httpx's own."""
        return self.send(
            PARTNER_TOKEN_ENDPOINT.path,
            bearer=self.credentials.refresh_token if bearer is None else bearer,
            **({"files": {name: (None, value) for name, value in self.form(change).items()}} | options),
        )

    def post_login(
        self, change: Mapping[str, str | None] | None = None, *, bearer: Secret | None = None, **options: object
    ) -> httpx.Response:
        """Post the member's login with some fields changed or, with None, left out."""
        path = MEMBER_TOKEN_ENDPOINT.path
        bearer = self.access_token if bearer is None else bearer
        return self.send(path, bearer=bearer, **({"json": self.login(change)} | options))

    def send(
        self, path: str, *, method: str = "POST", bearer: Secret, accept: str | None = ACCEPT, **body: object
    ) -> httpx.Response:
        """Send what the library would not; without a bearer if that is blank."""
        with httpx.Client(base_url=self.base_url, transport=_Lent(self._transport())) as http:
            request = http.build_request(method, path, **body)
            del request.headers["Accept"]
            if accept is not None:
                request.headers["Accept"] = accept
            if bearer:
                request.headers["Authorization"] = f"Bearer {bearer.reveal()}"
            return http.send(request)

    def form(self, change: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Return the fields of a partner token request."""
        fields = {
            "grant_type": PARTNER_TOKEN_ENDPOINT.grant_type,
            "client_id": self.credentials.username,
            "client_secret": self.credentials.password.reveal(),
            "scope": f"client:{self.client_id}",
        }
        return _changed(fields, change)

    def login(self, change: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Return the fields of a member's login."""
        fields = {"username": self.member_name, "password": self.member_password.reveal()}
        fields |= {"grant_type": MEMBER_TOKEN_ENDPOINT.grant_type, "scope": "member:auto_login"}
        return _changed(fields, change)

    def source(self) -> TokenSource:
        """Return a source that holds the access token at hand, and asks for none."""
        store = MemoryStore()
        token = self.token()
        store.write(TokenKey(origin_of(self.base_url).base_url, self.credentials, token.scope), token)
        return TokenSource(self.credentials, self.base_url, store=store, policy=_ONCE, http=self.transport)

    def token(self, bearer: Secret | None = None) -> AccessToken:
        """Return the access token at hand, or another bearer in its place."""
        life = timedelta(days=1)
        ends = datetime.now(UTC) + life
        return AccessToken(
            ClientScope(self.client_id),
            self.access_token if bearer is None else bearer,
            ends,
            int(life.total_seconds()),
        )

    def _transport(self) -> httpx.BaseTransport:
        return self.transport or new_transport(origin_of(self.base_url))


def _changed(fields: dict[str, str], change: Mapping[str, str | None] | None) -> dict[str, str]:
    return {name: value for name, value in (fields | dict(change or {})).items() if value is not None}
