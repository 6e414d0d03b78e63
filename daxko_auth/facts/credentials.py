"""
The partner's API account: what Daxko issues once, and what every access token is asked with.

Mistakes are found here, before anything is sent, and named by the setting they stand in. The
environment and the files it points to are read here and nowhere else.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from attrs import frozen

from daxko_auth.facts.errors import CredentialsError
from daxko_auth.facts.jwt_claims import claims_of, looks_like_jwt
from daxko_auth.facts.secret import Secret
from daxko_auth.facts.vendor import SCOPE_PREFIX

_USERNAME: Final = "DAXKO_USERNAME"
_PASSWORD: Final = "DAXKO_PASSWORD"  # noqa: S105 - the name of a setting
_REFRESH_TOKEN: Final = "DAXKO_REFRESH_TOKEN"  # noqa: S105 - the name of a setting
_BASE_URL: Final = "DAXKO_BASE_URL"
_SETTINGS: Final = (_USERNAME, _PASSWORD, _REFRESH_TOKEN)

# The guide maps OAuth's parameter names to Daxko's credential names; people set the former.
_OAUTH_NAMES: Final = {
    "DAXKO_CLIENT_ID": _USERNAME,
    "DAXKO_CLIENT_SECRET": _PASSWORD,
    "DAXKO_TOKEN": _REFRESH_TOKEN,
    "DAXKO_ACCESS_TOKEN": _REFRESH_TOKEN,
}

# RFC 6750 section 2.1, b64token: what may follow "Bearer " in a header.
_BEARER: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)
# A control character could end a multipart part or a header early.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BEARER_PREFIX: Final = "bearer "


@frozen(init=False)
class ApiCredentials:
    """
    The API account Daxko issued to the partner: username, password and refresh token.

    OAuth's names for the first two are `client_id` and `client_secret` (guide, "Get client-scoped
    access token"). The refresh token is a long-lived bearer for one endpoint; it is not an access token.
    """

    #: Daxko's name for the account; `client_id` on the wire. Not a secret.
    username: str
    #: `client_secret` on the wire.
    password: Secret
    #: The bearer of the partner token endpoint, and of nothing else.
    refresh_token: Secret

    def __init__(self, username: str, password: str | Secret, refresh_token: str | Secret) -> None:
        """
        Check and keep the three.

        Raises:
            CredentialsError: one is blank, ill-formed or in another's place. Nothing was sent.
        """
        # Wrapped under the same name first: a traceback that shows locals must not show a secret.
        password = _secret("password", password)
        refresh_token = _secret("refresh_token", refresh_token)
        _check(username, password, refresh_token, names=("username", "password", "refresh_token"))
        for name, value in (("username", username), ("password", password), ("refresh_token", refresh_token)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """
        Read `DAXKO_USERNAME`, `DAXKO_PASSWORD` and `DAXKO_REFRESH_TOKEN`, or the files that
        `DAXKO_USERNAME_FILE` and so on name. `environ` replaces `os.environ`.

        Raises:
            CredentialsError: naming the setting that is missing, blank, doubled, misspelt, unreadable,
                ill-formed or in another's place. Nothing was sent.
        """
        environ = os.environ if environ is None else environ
        missing = [name for name in _SETTINGS if name not in environ and f"{name}_FILE" not in environ]
        if missing:
            raise CredentialsError(_missing(missing, environ))
        username, password, refresh_token = (_read_setting(name, environ) for name in _SETTINGS)
        _check(username.reveal(), password, refresh_token, names=_SETTINGS)
        return cls(username.reveal(), password, refresh_token)


def base_url_from_env(environ: Mapping[str, str] | None = None) -> str | None:
    """Return `DAXKO_BASE_URL`, or None if it is not set."""
    return (os.environ if environ is None else environ).get(_BASE_URL)


def _secret(name: str, value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    msg = f"{name} is a string, not {type(value).__name__}"
    raise CredentialsError(msg)


def _read_setting(name: str, environ: Mapping[str, str]) -> Secret:
    file_setting = f"{name}_FILE"
    if file_setting not in environ:
        return Secret(environ[name])
    if name in environ:
        msg = f"both {name} and {file_setting} are set; unset one of them"
        raise CredentialsError(msg)
    path = Path(environ[file_setting])
    try:
        # An editor ends the last line; that newline is not part of the secret.
        return Secret(path.read_text("utf-8").removesuffix("\n").removesuffix("\r"))
    except OSError as error:
        msg = f"{file_setting} names {path}, which cannot be read: {error.strerror or type(error).__name__}"
    except ValueError:
        msg = f"{file_setting} names {path}, which is not text in UTF-8"
    raise CredentialsError(msg)


def _missing(missing: list[str], environ: Mapping[str, str]) -> str:
    known = {name + ending for name in (*_SETTINGS, _BASE_URL) for ending in ("", "_FILE")}
    hints: list[str] = []
    for name in sorted(environ):
        bare = name.upper().removesuffix("_FILE")
        if name in known or "DAXKO" not in bare:
            continue
        meant = _OAUTH_NAMES.get(bare) or next(iter(difflib.get_close_matches(bare, missing, n=1, cutoff=0.75)), None)
        if meant in missing:
            hints.append(f"{name} is set; did you mean {meant}?")
    message = (
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set. Daxko issues the username, "
        "the password and the refresh token of your API account; set each, or its name with _FILE to the "
        "path of a file that holds it"
    )
    return " ".join([message + ".", *hints])


def _check(username: object, password: Secret, refresh_token: Secret, *, names: tuple[str, str, str]) -> None:
    username_name, password_name, refresh_token_name = names
    if not isinstance(username, str):
        msg = f"{username_name} is a string, not {type(username).__name__}"
        raise CredentialsError(msg)
    for name, value in (
        (username_name, Secret(username)),
        (password_name, password),
        (refresh_token_name, refresh_token),
    ):
        _check_text(name, value)
    for name, value in ((username_name, Secret(username)), (password_name, password)):
        if looks_like_jwt(value):
            msg = (
                f"{name} looks like a token (eyJ...); the refresh token belongs in {refresh_token_name}, and "
                f"{name} is the shorter string that Daxko issued with it"
            )
            raise CredentialsError(msg)
    if refresh_token == password or refresh_token == Secret(username):
        msg = f"{refresh_token_name} repeats {username_name} or {password_name}; Daxko issues it as a string of its own"
        raise CredentialsError(msg)
    if refresh_token.reveal().lower().startswith(_BEARER_PREFIX):
        msg = f'{refresh_token_name} begins with "Bearer "; leave that out, it is added when the token is sent'
        raise CredentialsError(msg)
    if not _BEARER.fullmatch(refresh_token.reveal()):
        msg = (
            f"{refresh_token_name} holds characters that no bearer token has (RFC 6750 section 2.1); "
            "was it shortened with dots, or pasted with quotes?"
        )
        raise CredentialsError(msg)
    if str(claims_of(refresh_token).get("scope", "")).startswith(SCOPE_PREFIX):
        msg = (
            f"{refresh_token_name} holds an access token (it is scoped to one Daxko client and lives a day); "
            "put the long-lived refresh token there that Daxko issued with the username and password"
        )
        raise CredentialsError(msg)


def _check_text(name: str, value: Secret) -> None:
    if not value.reveal().strip():
        msg = f"{name} is blank; Daxko issues it with your API account"
        raise CredentialsError(msg)
    if _CONTROL.search(value.reveal()):
        msg = f"{name} holds a line break or another control character; was it copied with one?"
        raise CredentialsError(msg)
    if value.reveal() != value.reveal().strip():
        msg = f"{name} begins or ends with white space; was it copied with some?"
        raise CredentialsError(msg)
    try:
        value.reveal().encode()
    except UnicodeEncodeError:
        msg = f"{name} is not text that UTF-8 can hold"
    else:
        return
    raise CredentialsError(msg)
