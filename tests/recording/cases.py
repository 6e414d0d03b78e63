"""
Every documented exchange and refusal of the two token endpoints, and of a resource behind them: one cassette each.

Each case is a single exchange. Replays after a 401, timeouts, redirects and connections are no cases:
they are tested on real sockets.
"""

import json
from collections.abc import Callable
from typing import Final

from attrs import frozen

from daxko_auth import Secret
from daxko_auth.sandbox import Sandbox
from daxko_auth.sandbox.accounts import SECOND_CLIENT_ID
from recording.stage import RESOURCE, Stage

#: A Daxko client that the account is not linked to.
UNLINKED_CLIENT_ID: Final = 1111

NOBODYS: Final = Secret("nobodys-token")
NO_BEARER: Final = Secret("")


def _nothing(_: Sandbox) -> None:
    """Leave the sandbox as it is."""


@frozen
class Case:
    """One exchange: what is sent, and what the spec says about the request."""

    name: str
    play: Callable[[Stage], object]
    #: The name of openapi-core's error for the request; blank if the request fits the spec.
    against_spec: str = ""
    #: Why a request that fits the spec is refused all the same.
    beyond_spec: str = ""
    #: Whether it is recorded from Daxko, too.
    live: bool = False
    #: What happens to the sandbox after the access token at hand was issued.
    prepare: Callable[[Sandbox], object] = _nothing

    @property
    def at_member_endpoint(self) -> bool:
        """Whether it needs a member's login."""
        return self.name.startswith("member-")


def _busy(status: int, where: str, retry_after: str | None = None) -> Callable[[Sandbox], object]:
    return lambda sandbox: sandbox.fail_next(1, "status", where=where, status=status, retry_after=retry_after)


# What curl -d says of any body, JSON or not; the guide shows the login that way.
_CURL: Final = {"Content-Type": "application/x-www-form-urlencoded"}

_KIND: Final = "the spec cannot tell one bearer from another"
_VALUE: Final = "the request is well-formed; a value is wrong"
_ACCEPT: Final = "OpenAPI describes no Accept header"
_SERVER: Final = "the request is right; the server is not"

_PARTNER: Final = (
    Case("partner-granted", Stage.ask, live=True),
    Case("partner-granted-second-client", lambda stage: stage.ask(SECOND_CLIENT_ID)),
    Case(
        "partner-wrong-bearer",
        lambda stage: stage.ask(refresh_token=NOBODYS.reveal()),
        beyond_spec=_KIND,
        live=True,
    ),
    Case("partner-access-token-as-bearer", lambda stage: stage.post_form(bearer=stage.access_token), beyond_spec=_KIND),
    Case("partner-no-bearer", lambda stage: stage.post_form(bearer=NO_BEARER), "SecurityNotFound", live=True),
    Case("partner-wrong-password", lambda stage: stage.ask(password="nobodys-password"), beyond_spec=_VALUE, live=True),
    Case("partner-scope-not-linked", lambda stage: stage.ask(UNLINKED_CLIENT_ID), beyond_spec=_VALUE, live=True),
    Case("partner-malformed-scope", lambda stage: stage.post_form({"scope": "9999"}), "InvalidSchemaValue", live=True),
    Case("partner-missing-field", lambda stage: stage.post_form({"scope": None}), "InvalidSchemaValue", live=True),
    Case("partner-wrong-grant", lambda stage: stage.post_form({"grant_type": "password"}), "InvalidSchemaValue"),
    Case("partner-json", lambda stage: stage.post_form(files=None, json=stage.form()), "MediaTypeNotFound"),
    Case("partner-urlencoded", lambda stage: stage.post_form(files=None, data=stage.form()), "MediaTypeNotFound"),
    Case("partner-no-accept", lambda stage: stage.post_form(accept=None), beyond_spec=_ACCEPT),
    Case("partner-too-many", Stage.ask, beyond_spec=_SERVER, prepare=_busy(429, "partner", "7")),
    Case("partner-unavailable", Stage.ask, beyond_spec=_SERVER, prepare=_busy(503, "partner")),
)

_MEMBER: Final = (
    Case("member-signed-in", Stage.sign_in, live=True),
    Case(
        "member-signed-in-as-curl-sends-it",
        lambda stage: stage.post_login(json=None, content=json.dumps(stage.login()), headers=_CURL),
        "MediaTypeNotFound",
    ),
    Case(
        "member-wrong-password", lambda stage: stage.sign_in(password="nobodys-password"), beyond_spec=_VALUE, live=True
    ),
    Case(
        "member-refresh-token-as-bearer",
        lambda stage: stage.post_login(bearer=stage.credentials.refresh_token),
        beyond_spec=_KIND,
    ),
    Case("member-wrong-bearer", lambda stage: stage.sign_in(bearer=NOBODYS), beyond_spec=_KIND, live=True),
    Case(
        "member-expired-bearer",
        Stage.sign_in,
        beyond_spec="the spec knows no time",
        prepare=Sandbox.expire,
    ),
    Case("member-no-bearer", lambda stage: stage.post_login(bearer=NO_BEARER), "SecurityNotFound"),
    Case("member-wrong-grant", lambda stage: stage.post_login({"grant_type": "x"}), "InvalidSchemaValue"),
    Case("member-wrong-scope", lambda stage: stage.post_login({"scope": "client:9999"}), "InvalidSchemaValue"),
    Case("member-missing-field", lambda stage: stage.post_login({"password": None}), "InvalidSchemaValue"),
    Case("member-form", lambda stage: stage.post_login(json=None, data=stage.login()), "MediaTypeNotFound"),
    Case("member-no-accept", lambda stage: stage.post_login(accept=None), beyond_spec=_ACCEPT),
    Case("member-too-many", Stage.sign_in, beyond_spec=_SERVER, prepare=_busy(429, "member", "7")),
    Case("member-unavailable", Stage.sign_in, beyond_spec=_SERVER, prepare=_busy(503, "member")),
)

_RESOURCE: Final = (
    Case("resource-opened", Stage.get),
    Case("resource-expired-bearer", Stage.get, prepare=Sandbox.expire),
    Case("resource-no-bearer", lambda stage: stage.send(RESOURCE, method="GET", bearer=NO_BEARER)),
    Case(
        "resource-refresh-token-as-bearer",
        lambda stage: stage.send(RESOURCE, method="GET", bearer=stage.credentials.refresh_token),
    ),
)

CASES: Final = (*_PARTNER, *_MEMBER, *_RESOURCE)
