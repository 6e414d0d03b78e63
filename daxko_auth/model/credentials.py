"""
The partner's API account: what Daxko issues once, and what every access token is asked with.

Mistakes are found here, before anything is sent, and named by the setting they stand in. The
environment and the files it points to are read here and nowhere else.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, cast

from attrs import field, frozen

from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.jwt_claims import claims_of, looks_like_jwt
from daxko_auth.model.scope import ClientScope, Scope, ScopeLike
from daxko_auth.model.secret import Secret
from daxko_auth.model.vendor import SCOPE_PREFIX

_USERNAME: Final = "DAXKO_USERNAME"
_PASSWORD: Final = "DAXKO_PASSWORD"  # noqa: S105 - the name of a setting
_REFRESH_TOKEN: Final = "DAXKO_REFRESH_TOKEN"  # noqa: S105 - the name of a setting
_MEMBER_PASSWORD: Final = "DAXKO_MEMBER_PASSWORD"  # noqa: S105 - the name of a setting
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
# A control character could end a multipart part or a header early; an invisible one comes from a web page or an editor.
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_BEARER_PREFIX: Final = "bearer "
# Two dots may stand together in an encrypted token; three are how the guide shortens its example.
_ELLIPSIS: Final = "..."


class Account(ABC):
    """An API account that Daxko issued: what access tokens are asked for with. Equal accounts share tokens."""

    __slots__ = ()

    @property
    @abstractmethod
    def account_name(self) -> str:
        """Daxko's name for it. Not a secret."""

    @property
    @abstractmethod
    def secrets(self) -> tuple[Secret, ...]:
        """All that nobody else may see of it."""

    @abstractmethod
    def scope(self, given: ScopeLike) -> Scope:
        """
        Return `given` as a scope that this account can ask for.

        Raises:
            CredentialsError: it is none.
        """


@hides_locals
@frozen(init=False)
class ApiCredentials(Account):
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
        given = _checked((username, password, refresh_token), names=("username", "password", "refresh_token"))
        object.__setattr__(self, "username", given[0].reveal())
        object.__setattr__(self, "password", given[1])
        object.__setattr__(self, "refresh_token", given[2])

    @property
    def account_name(self) -> str:
        """The username."""
        return self.username

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The password and the refresh token."""
        return (self.password, self.refresh_token)

    @hides_locals
    def scope(self, given: ScopeLike) -> ClientScope:
        """
        Return the Daxko client that `given` names: `9999`, `"9999"`, `"client:9999"` or a ClientScope.

        Raises:
            CredentialsError: it is anything else.
        """
        return ClientScope(given)

    @classmethod
    @hides_locals
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """
        Read `DAXKO_USERNAME`, `DAXKO_PASSWORD` and `DAXKO_REFRESH_TOKEN`, or the files that
        `DAXKO_USERNAME_FILE` and so on name. `environ` replaces `os.environ`. A blank setting counts as not set.

        Raises:
            TypeError: `environ` is no mapping of strings.
            CredentialsError: naming the setting that is missing, blank, doubled, misspelt, unreadable,
                ill-formed or in another's place. Nothing was sent.
        """
        settings = _Settings.of(environ)
        missing = [name for name in _SETTINGS if not {name, f"{name}_FILE"} & settings.names]
        if missing:
            raise CredentialsError(_missing(missing, settings))
        given = tuple(_read_setting(name, settings) for name in _SETTINGS)
        username, password, refresh_token = _checked(given, names=tuple(map(settings.place_of, _SETTINGS)))
        return cls(username.reveal(), password, refresh_token)


@hides_locals
def base_url_from_env(environ: Mapping[str, str] | None = None) -> str | None:
    """
    Return `DAXKO_BASE_URL`, or None if it is not set or blank.

    Raises:
        CredentialsError: it is not set, but a setting is whose name is nearly the same. Going on would send
            the credentials to the default.
    """
    settings = _Settings.of(environ)
    if _BASE_URL in settings.names:
        return settings.text(_BASE_URL)
    for name in sorted(settings.names):
        if _alike(name.upper(), [_BASE_URL]):
            msg = f"{name} is set; did you mean {_BASE_URL}? Rename it, or pass base_url= if it is something else"
            raise CredentialsError(msg)
    return None


@hides_locals
def secrets_from_env(environ: Mapping[str, str] | None = None) -> dict[str, Secret]:
    """
    Return by its name what is set of `DAXKO_PASSWORD`, `DAXKO_MEMBER_PASSWORD` and `DAXKO_REFRESH_TOKEN`, here or in
    the files that `DAXKO_PASSWORD_FILE` and so on name: for those who look for these values.

    Raises:
        CredentialsError: naming the setting that is doubled or unreadable.
    """
    settings = _Settings.of(environ)
    names = (_PASSWORD, _MEMBER_PASSWORD, _REFRESH_TOKEN)
    is_set = [name for name in names if {name, f"{name}_FILE"} & settings.names]
    found = {name: _read_setting(name, settings) for name in is_set}
    return {name: secret for name, secret in found.items() if secret}


def settings_in_env(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the names under which the account and the base URL are set: `DAXKO_PASSWORD`, `DAXKO_PASSWORD_FILE`."""
    settings = _Settings.of(environ)
    names = [_BASE_URL, *(name + ending for name in _SETTINGS for ending in ("", "_FILE"))]
    return [name for name in names if name in settings.names]


@frozen(repr=False)
class _Settings:
    """The environment, which a traceback that shows locals does not show."""

    # Said here too: rich looks at the fields of an attrs class, not at its repr.
    _values: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str] | None) -> Self:
        """Take these, or the environment's; what is of no use here may be of any kind, as python-dotenv has it."""
        given: Mapping[object, object] = cast("Any", os.environ if environ is None else environ)
        if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers are not all typed
            msg = (
                f"environ is a mapping of settings, such as os.environ, not {type(given).__name__}. If it is a file, "
                "read it, and pass what it sets"
            )
            raise TypeError(msg)
        values: dict[str, str] = {}
        for name, value in given.items():
            if not isinstance(name, str):
                msg = f"environ is a mapping of strings, such as os.environ, not of {type(name).__name__}; pass one"
                raise TypeError(msg)
            if isinstance(value, str):
                values[name] = value
            elif name.removesuffix("_FILE") in {*_SETTINGS, _MEMBER_PASSWORD, _BASE_URL}:
                msg = f"{name} is a string, not {type(value).__name__}; pass one, or leave {name} out"
                raise CredentialsError(msg)
        return cls(values)

    @property
    def names(self) -> frozenset[str]:
        """What is set. Blank is not: a compose file passes on what is not set as blank."""
        return frozenset(name for name in self._values if self._values[name].strip())

    def is_blank(self, name: str) -> bool:
        return name in self._values and name not in self.names

    def place_of(self, name: str) -> str:
        """Where the value is read from, for messages."""
        return f"the {name}_FILE file" if f"{name}_FILE" in self.names else name

    def text(self, name: str) -> str:
        return self._values[name]

    def secret(self, name: str) -> Secret:
        return Secret(self._values[name])

    def text_of_file(self, name: str) -> Secret:
        # An editor may begin a file with a byte order mark, and it ends the last line, in whichever way; neither is
        # part of the secret.
        text = Secret(Path(self._values[name]).read_text("utf-8-sig"))
        return Secret(text.reveal().removesuffix("\n"))


def _read_setting(name: str, settings: _Settings) -> Secret:
    file_setting = f"{name}_FILE"
    if file_setting not in settings.names:
        return settings.secret(name)
    if name in settings.names:
        msg = f"both {name} and {file_setting} are set; unset one of them"
        raise CredentialsError(msg)
    # The path is not quoted: the secret itself may stand in its place by mistake.
    try:
        return settings.text_of_file(file_setting)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        msg = (
            f"{file_setting} is the path of a file that holds the value; it cannot be read: {reason}. Correct the "
            "path, or let this process read the file"
        )
    except ValueError:
        msg = f"{file_setting} is the path of a file that holds the value; it is not text in UTF-8. Save it as UTF-8"
    raise CredentialsError(msg)


def _alike(name: str, names: list[str]) -> str | None:
    """Return which of `names` was meant by one that is misspelt, or None."""
    # Imported where there may be one: elsewhere it would only take time.
    import difflib  # noqa: PLC0415

    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.75)), None)


def _missing(missing: list[str], settings: _Settings) -> str:
    blank = [name for bare in missing for name in (bare, f"{bare}_FILE") if settings.is_blank(name)]
    unset = [name for name in missing if name not in blank and f"{name}_FILE" not in blank]
    known = {_BASE_URL, *(name + ending for name in _SETTINGS for ending in ("", "_FILE"))}
    hints: list[str] = []
    for name in sorted(settings.names):
        bare = name.upper().removesuffix("_FILE")
        if name in known or "DAXKO" not in bare:
            continue
        meant = _OAUTH_NAMES.get(bare) or _alike(bare, missing)
        if meant in missing:
            hints.append(f"{name} is set; did you mean {meant}?")
    message = (
        "Daxko issues the username, the password and the refresh token of your API account; set each, or its name "
        "with _FILE to the path of a file that holds it"
    )
    found = [
        f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {what}."
        for names, what in ((unset, "not set"), (blank, "blank"))
        if names
    ]
    return " ".join([*found, *hints, message])


def _checked(given: Sequence[object], *, names: tuple[str, ...]) -> tuple[Secret, Secret, Secret]:
    texts: list[Secret] = []
    for name, value in zip(names, given, strict=True):
        if not isinstance(value, str | Secret):
            msg = f"{name} is a string, not {type(value).__name__}; pass it as Daxko issued it"
            raise CredentialsError(msg)
        texts.append(value if isinstance(value, Secret) else Secret(value))
        _check_text(name, texts[-1])
    username, password, refresh_token = texts
    _check_places(username, password, refresh_token, names=names)
    return username, password, refresh_token


def _check_places(username: Secret, password: Secret, refresh_token: Secret, *, names: tuple[str, ...]) -> None:
    username_name, password_name, refresh_token_name = names
    for what, name, value in (("username", username_name, username), ("password", password_name, password)):
        if looks_like_jwt(value):
            msg = (
                f"{name} looks like a token (eyJ...); the refresh token belongs in {refresh_token_name}. In {name}, "
                f"put the shorter string that Daxko issued as {what}"
            )
            raise CredentialsError(msg)
    if refresh_token in (username, password):
        msg = (
            f"{refresh_token_name} repeats {username_name} or {password_name}; Daxko issues three different strings. "
            "Put each in its own place"
        )
        raise CredentialsError(msg)
    if refresh_token.reveal().lower().startswith(_BEARER_PREFIX):
        msg = f'{refresh_token_name} begins with "Bearer "; leave that out, it is added when the token is sent'
        raise CredentialsError(msg)
    if not _BEARER.fullmatch(refresh_token.reveal()) or _ELLIPSIS in refresh_token.reveal():
        msg = (
            f"{refresh_token_name} holds characters that no bearer token has (RFC 6750 section 2.1); "
            "was it shortened with dots, or pasted with quotes? Copy it again, whole and bare"
        )
        raise CredentialsError(msg)
    if str(claims_of(refresh_token).get("scope", "")).startswith(SCOPE_PREFIX):
        msg = (
            f"{refresh_token_name} holds an access token (it is scoped to one Daxko client and lives a day); "
            "put the long-lived refresh token there, which Daxko issued with the username and password"
        )
        raise CredentialsError(msg)


def _check_text(name: str, value: Secret) -> None:
    if not value.reveal().strip():
        msg = f"{name} is blank; set it to what Daxko issued with your API account"
        raise CredentialsError(msg)
    if _UNSEEN.search(value.reveal()):
        msg = f"{name} holds a line break, a control character or an invisible one; copy it again without it"
        raise CredentialsError(msg)
    if value.reveal() != value.reveal().strip():
        msg = f"{name} begins or ends with white space; copy it again without it"
        raise CredentialsError(msg)
    try:
        value.reveal().encode()
    except UnicodeEncodeError:
        msg = f"{name} is not text that UTF-8 can hold. Copy it again, as Daxko issued it"
    else:
        return
    raise CredentialsError(msg)
