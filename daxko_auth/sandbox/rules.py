"""
Judges requests: bytes in, verdict out.

The strictest reading of the vendor's guide, with the error codes of RFC 6749 section 5.2 and RFC
6750 section 3.1. Every refusal says what to change; none of them quotes what was sent, which may be a secret.
"""

import json
import re
from collections import Counter
from hmac import compare_digest
from typing import Final, cast

from attrs import frozen

from daxko_auth.model.vendor import MEMBER_SCOPE, MEMBER_TOKEN_ENDPOINT, PARTNER_TOKEN_ENDPOINT
from daxko_auth.sandbox import multipart
from daxko_auth.sandbox.accounts import Account
from daxko_auth.sandbox.seen import Seen
from daxko_auth.sandbox.tokens import IssuedToken, Mint, Standing

_PARTNER_FIELDS: Final = ("grant_type", "client_id", "client_secret", "scope")
_MEMBER_FIELDS: Final = ("username", "password", "grant_type", "scope")
_CLIENT_SCOPE: Final = re.compile(rb"client:([1-9][0-9]{0,17})")


@frozen
class Refused:
    """No, with the `error` and `error_description` of RFC 6749 section 5.2."""

    status: int
    error: str
    description: str
    #: The WWW-Authenticate header, where RFC 9110 wants one.
    challenge: str | None = None


@frozen
class Granted:
    """Yes: an access token may be issued for this."""

    subject: str
    scope: str
    client_id: int


class _RefusalError(Exception):
    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.refused = Refused(400, error, description)


def judge_partner(seen: Seen, account: Account, mint: Mint) -> Granted | Refused:
    """Judge a POST to the partner token endpoint: first its bearer, then its body."""
    standing = mint.judge(seen.bearer)
    if standing is not Standing.REFRESH_TOKEN:
        description = (
            f"The bearer is wrong: {standing.value}. This endpoint wants Authorization: Bearer <refresh_token>, "
            "and nothing else does."
        )
        return Refused(401, "invalid_client", description, challenge(seen))
    try:
        fields = _form(seen)
        if fields["grant_type"] != PARTNER_TOKEN_ENDPOINT.grant_type.encode():
            _refuse("unsupported_grant_type", "grant_type is always client_credentials here; see the vendor's guide.")
        _require_account(fields, account)
        return _grant(fields["scope"], account)
    except _RefusalError as refusal:
        return refusal.refused


def judge_member(seen: Seen, account: Account, client_id: int) -> Granted | Refused:
    """Judge the body of a POST to the member token endpoint; its bearer has been judged like any other."""
    try:
        fields = _json_fields(seen.body)
    except _RefusalError as refusal:
        return refusal.refused
    if fields["grant_type"] != MEMBER_TOKEN_ENDPOINT.grant_type:
        return Refused(400, "unsupported_grant_type", "grant_type is always password here.")
    if fields["scope"] != MEMBER_SCOPE:
        return Refused(400, "invalid_scope", f"scope is always {MEMBER_SCOPE} here.")
    if not account.knows_member(fields["username"], fields["password"]):
        return Refused(400, "invalid_grant", "No member has this name and this password.")
    return Granted(fields["username"], MEMBER_SCOPE, client_id)


def judge_access(seen: Seen, mint: Mint) -> IssuedToken | Refused:
    """Judge the bearer of every request but those to the partner token endpoint."""
    bearer = seen.bearer
    standing = mint.judge(bearer)
    token = mint.find(bearer or "")
    if standing is Standing.LIVE and token is not None:
        return token
    description = f"The bearer is wrong: {standing.value}. Send Authorization: Bearer <access_token>."
    return Refused(401, "invalid_token", description, challenge(seen, description))


def challenge(seen: Seen, description: str | None = None) -> str:
    """Return the WWW-Authenticate header for a bearer that is wrong or missing."""
    # RFC 6750 section 3.1: whoever sent no bearer at all is told no error code.
    if seen.bearer is None:
        return 'Bearer realm="daxko"'
    said = f', error_description="{description}"' if description else ""
    return f'Bearer realm="daxko", error="invalid_token"{said}'


def scope_asked(seen: Seen) -> str:
    """Return the well-formed scope that a partner token request asks for, or a blank."""
    parts = multipart.parse(seen.header("content-type") or "", seen.body)
    if isinstance(parts, multipart.Malformed):
        return ""
    # Only what can be a scope is repeated: a password may have landed in the field by mistake.
    scopes = [part.value.decode() for part in parts if part.name == "scope" and _CLIENT_SCOPE.fullmatch(part.value)]
    return scopes[0] if scopes else ""


def _refuse(error: str, description: str) -> None:
    raise _RefusalError(error, description)


def _form(seen: Seen) -> dict[str, bytes]:
    wanted = "This endpoint takes multipart/form-data, as curl -F sends it"
    match seen.media_type:
        case "multipart/form-data":
            pass
        case "application/json":
            _refuse("invalid_request", f"{wanted}, but JSON was sent.")
        case "application/x-www-form-urlencoded":
            _refuse("invalid_request", f"{wanted}, but a urlencoded form was sent (curl -d, or data= in Python).")
        case _:
            _refuse("invalid_request", f"{wanted}, but the Content-Type is missing or another.")
    parts = multipart.parse(seen.header("content-type") or "", seen.body)
    if isinstance(parts, multipart.Malformed):
        raise _RefusalError("invalid_request", f"{wanted}, but {parts.reason}.")
    for part in parts:
        if part.headers - {"content-disposition"} or part.has_parameters:
            _refuse(
                "invalid_request",
                "A part has headers beyond its name: no Content-Type and no file name, as curl -F sends it.",
            )
    _require_fields([part.name for part in parts], _PARTNER_FIELDS)
    return {part.name: part.value for part in parts}


def _require_fields(names: list[str], wanted: tuple[str, ...]) -> None:
    count = Counter(names)
    for name in wanted:
        if count[name] == 0:
            _refuse("invalid_request", f"{name} is missing; exactly {', '.join(wanted)} are wanted.")
        if count[name] > 1:
            _refuse("invalid_request", f"{name} was sent more than once.")
    if len(count) > len(wanted):
        _refuse("invalid_request", f"There is a field too many; exactly {', '.join(wanted)} are wanted.")


def _require_account(fields: dict[str, bytes], account: Account) -> None:
    # Both are compared before either is refused, and the answer does not say which of them was wrong.
    name = compare_digest(fields["client_id"], account.username.encode())
    password = compare_digest(fields["client_secret"], account.password.reveal().encode())
    if not (name and password):
        _refuse("invalid_client", "client_id is the account's username, client_secret its password; one is wrong.")


def _grant(scope: bytes, account: Account) -> Granted:
    asked = _CLIENT_SCOPE.fullmatch(scope)
    if asked is None:
        raise _RefusalError("invalid_scope", "scope is one Daxko client, such as client:9999.")
    client_id = int(asked[1])
    if client_id not in account.clients:
        _refuse("unauthorized_client", "This account is not linked to the Daxko client that scope names.")
    return Granted(account.username, f"client:{client_id}", client_id)


def _json_fields(body: bytes) -> dict[str, str]:
    try:
        # Whatever the content type says: the guide's own curl -d calls this JSON a urlencoded form.
        pairs: object = json.loads(body.decode("utf-8"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise _RefusalError("invalid_request", "The body is not JSON.") from None
    if not isinstance(pairs, _Pairs):
        raise _RefusalError("invalid_request", "The body is JSON, but not an object.")
    _require_fields([name for name, _ in pairs], _MEMBER_FIELDS)
    if not all(isinstance(value, str) for _, value in pairs):
        _refuse("invalid_request", f"Each of {', '.join(_MEMBER_FIELDS)} is a string.")
    return cast("dict[str, str]", dict(pairs))


class _Pairs(list[tuple[str, object]]):
    """A JSON object that still knows which of its names came twice."""
