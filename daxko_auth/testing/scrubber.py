"""
Takes the secrets out of requests and answers before they are written down: by value, by shape and by place.

It makes copies: the code under test sees the real values. At a token endpoint it keeps what it knows to be harmless
and withholds the rest, so that a new field does not leak before somebody notices; of everything else it keeps all
but the secrets. Requests come out in one form, so that the same request is the same text.
"""

import re
import threading
from collections.abc import Mapping
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from attrs import evolve

from daxko_auth.model.vendor import PARTNER_TOKEN_ENDPOINT
from daxko_auth.testing import placeholders
from daxko_auth.testing.bodies import BOUNDARY, Body, Json, Part, render, said
from daxko_auth.testing.exchanges import Asked, Recorded, asked_by, bytes_of, is_encoded, read, text_of
from daxko_auth.testing.placeholders import ANSWERED_TOKEN, WITHHELD
from daxko_auth.testing.spellings import JWT, LONG, SHORTEST, looks_drawn_by_lot, spellings

#: A header that no request has on the wire, and every scrubbed one has: what its body says, for matching.
SCRUBBED_BODY: Final = "Scrubbed-Body"

_REQUEST_HEADERS: Final = ("Accept", "Authorization", "Content-Type")
# Of the answers of a token endpoint.
_ANSWER_HEADERS: Final = ("allow", "cache-control", "content-type", "pragma", "retry-after", "www-authenticate")
_OAUTH_FIELDS: Final = frozenset({"error", "error_description", "error_uri", "expires_in", "grant_type"})
_KEPT_FIELDS: Final = _OAUTH_FIELDS | {"client_id", "scope", "token_type", "username"}
# What stands for whatever stands there; and where all secrets are known, for one that is another.
_PLACES: Final = {
    "client_id": placeholders.API_USERNAME,
    "client_secret": placeholders.CLIENT_SECRET,
    "username": placeholders.MEMBER_NAME,
    "password": placeholders.MEMBER_PASSWORD,
}
_OTHERS: Final = {"client_secret": placeholders.OTHER_CLIENT_SECRET, "password": placeholders.OTHER_PASSWORD}
# Everywhere else only what is always a secret by its name: a page token or a postal code is none.
_SECRET_FIELDS: Final = frozenset(
    {"access_token", "api_key", "client_secret", "id_token", "password", "refresh_token", "token"}
)
_NAMES: Final = "|".join(sorted(_SECRET_FIELDS))
_SECRET_QUERY: Final = re.compile(rf"((?:^|&)(?:{_NAMES})=)[^&]*", re.IGNORECASE)
_SECRET_IN_JSON: Final = re.compile(rf'("(?:{_NAMES})"\s*:\s*")(?:[^"\\]|\\.)+', re.IGNORECASE)
# A length is another one once something was replaced.
_NOT_KEPT: Final = frozenset({"set-cookie", "content-length"})


_Request = TypeVar("_Request", bound=Recorded)


class _Last(threading.local):
    """What this thread has asked last: vcrpy scrubs a request and its answer in one go."""

    asked = Asked()


class Scrubber:
    """What one recording or one replay knows to be secret, and what it writes instead."""

    def __init__(self, known: Mapping[str, str], *, knows_all: bool = False) -> None:
        """
        Replace each of the values of `known`, however it is encoded, by the placeholder beside it.

        If it `knows_all`, any other password or bearer is a wrong one, and names are told apart. Otherwise whatever
        stands where a password belongs counts as the password, so that a replay needs none of the real ones.
        """
        self._known = {value: placeholder for value, placeholder in known.items() if value}
        self._given = frozenset(self._known)
        self._knows_all = knows_all
        self._learning = threading.Lock()
        self._last = _Last()
        self._refresh()

    @property
    def secrets(self) -> list[str]:
        """The values it replaces, those it learned included."""
        return list(self._known)

    def learn(self, value: object, placeholder: str) -> None:
        """Replace this value, too, from now on; what it was given from the start stays what it is."""
        if isinstance(value, str) and len(value) >= SHORTEST and not ANSWERED_TOKEN.fullmatch(value):
            with self._learning:
                if value not in self._given and self._known.get(value) != placeholder:
                    self._known = {**self._known, value: placeholder}
                    self._refresh()

    def request(self, request: _Request) -> _Request:
        """Return a copy of a request without secrets; for vcrpy's `before_record_request`."""
        if SCRUBBED_BODY in request.headers:
            # What a cassette says is left as it is: a dummy password may be a word of it.
            self._last.asked = Asked(is_recorded=True)
            return request
        held = {name.lower(): text_of(value) for name, value in request.headers.items()}
        body = read(held, bytes_of(request.body))
        asked = self._last.asked = asked_by(urlsplit(request.uri).path, body)
        body = self._body(body, asked)
        held["content-type"], written = render(body)
        if "authorization" in held:
            held["authorization"] = self._authorization(held["authorization"], asked)
        headers = {name: self.text(held[name.lower()]) for name in _REQUEST_HEADERS if held.get(name.lower())}
        return type(request)(request.method, self._uri(request.uri), written, {**headers, SCRUBBED_BODY: said(body)})

    def response(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of an answer without secrets; for vcrpy's `before_record_response`."""
        asked = self._last.asked
        if asked.is_recorded:
            return dict(response)
        answer = self._token_answer if asked.is_for_a_token else self._answer
        headers, written = answer(
            {
                name.lower(): [values] if isinstance(values, str) else values
                for name, values in response["headers"].items()
            },
            bytes_of(response["body"]["string"]) or b"",
            asked,
        )
        return {"status": dict(response["status"]), "headers": headers, "body": {"string": written}}

    def text(self, text: str) -> str:
        """Return a text without the values that are known and without what looks like a token."""
        text = self._values.sub(lambda found: self._placeholder_of[found[0]], text)
        text = JWT.sub(WITHHELD, ANSWERED_TOKEN.sub(r"<\1>", text))
        return LONG.sub(lambda found: WITHHELD if looks_drawn_by_lot(found[0]) else found[0], text)

    def __deepcopy__(self, memo: object) -> Self:
        # pytest-recording copies its settings for each test; what was learned in one counts in the next.
        return self

    def _refresh(self) -> None:
        self._placeholder_of = {
            spelling: placeholder
            for value, placeholder in self._known.items()
            if len(value) >= SHORTEST
            for spelling in spellings(value)
        }
        # One pass, the longest first: what was put in is not looked at again. Without any, nothing is found.
        longest_first = sorted(self._placeholder_of, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def _authorization(self, value: str, asked: Asked) -> str:
        scheme, _, bearer = value.partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            return f"{scheme} {WITHHELD}" if scheme.isalpha() and bearer else WITHHELD
        return f"Bearer {self._kind_of(bearer, asked)}"

    def _kind_of(self, bearer: str, asked: Asked) -> str:
        if replayed := ANSWERED_TOKEN.fullmatch(bearer):
            return f"<{replayed[1]}>"
        kind = self._known.get(bearer, "")
        if "-token" in kind:
            return kind
        if self._knows_all:
            return placeholders.OTHER_BEARER
        self.learn(bearer, WITHHELD)
        at_partner_endpoint = asked.path == PARTNER_TOKEN_ENDPOINT.path
        return placeholders.REFRESH_TOKEN if at_partner_endpoint else placeholders.ACCESS_TOKEN

    def _uri(self, uri: str) -> str:
        address, mark, query = uri.partition("?")
        return self.text(address) + mark + self.text(_SECRET_QUERY.sub(r"\1withheld", query))

    def _token_answer(
        self, headers: Mapping[str, list[str]], written: bytes, asked: Asked
    ) -> tuple[dict[str, list[str]], bytes]:
        held = {name: ", ".join(values) for name, values in headers.items()}
        body = read(held, written)
        for name, value in body.fields():
            if name.lower().endswith("token"):
                self.learn(value, asked.token if name.lower() == "access_token" else WITHHELD)
        held["content-type"], written = render(self._body(body, asked))
        return {name: [self.text(held[name])] for name in _ANSWER_HEADERS if held.get(name)}, written

    def _answer(self, headers: Mapping[str, list[str]], written: bytes, _: Asked) -> tuple[dict[str, list[str]], bytes]:
        kept = {
            name: [self._uri(value) if name == "location" else self.text(value) for value in values]
            for name, values in headers.items()
            if name not in _NOT_KEPT
        }
        if is_encoded({name: values[0] for name, values in kept.items() if values}):
            # What nobody can read may hold anything.
            del kept["content-encoding"]
            return kept, WITHHELD.encode()
        text = _SECRET_IN_JSON.sub(rf"\1{WITHHELD}", written.decode("utf-8", "surrogateescape"))
        return kept, self.text(text).encode("utf-8", "surrogateescape")

    def _body(self, body: Body, asked: Asked) -> Body:
        if body.kind == "json":
            return evolve(body, value=(self._json if asked.is_for_a_token else self._other_json)("", body.value))
        return evolve(body, parts=tuple(map(self._part if asked.is_for_a_token else self._other_part, body.parts)))

    def _part(self, part: Part) -> Part:
        return self._with_value(part, self._field(part.name, part.value), part.file_name and WITHHELD)

    def _other_part(self, part: Part) -> Part:
        return self._with_value(
            part, self._other_field(part.name, part.value), part.file_name and self.text(part.file_name)
        )

    def _with_value(self, part: Part, value: str, file_name: str | None) -> Part:
        headers = tuple((self.text(name), self.text(text)) for name, text in part.headers)
        value = WITHHELD if BOUNDARY in value else value
        return evolve(part, name=self.text(part.name), value=value, file_name=file_name, headers=headers)

    def _json(self, name: str, value: Json) -> Json:
        if not name or name.lower() in _KEPT_FIELDS:
            match value:
                case dict():
                    return {self.text(key): self._json(key, held) for key, held in value.items()}
                case list():
                    return [self._json(name, held) for held in value]
                case int() | float() | None if name:
                    return value
                case _:
                    pass
        return self._field(name, value)

    def _field(self, name: str, value: object) -> str:
        name = name.lower()
        if name == "access_token":
            # Header-safe, because the code under test sends it back.
            return placeholders.answered(self._last.asked.token)
        if self._knows_all and name not in _KEPT_FIELDS:
            other = _OTHERS.get(name, WITHHELD)
            return self._known.get(value, other) if isinstance(value, str) else other
        if name not in _KEPT_FIELDS:
            self.learn(value, _PLACES.get(name, WITHHELD))
        elif self._knows_all or name not in _PLACES:
            return self.text(str(value))
        return _PLACES.get(name, WITHHELD)

    def _other_json(self, name: str, value: Json) -> Json:
        match value:
            case dict():
                return {self.text(key): self._other_json(key, held) for key, held in value.items()}
            case list():
                return [self._other_json(name, held) for held in value]
            case str():
                return self._other_field(name, value)
            case _:
                return value

    def _other_field(self, name: str, value: str) -> str:
        return WITHHELD if value and name.lower() in _SECRET_FIELDS else self.text(value)
