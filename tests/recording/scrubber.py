"""
Takes the secrets out of requests and answers before they are written down, by value and by shape.

It changes copies only: the code under test sees the real values. Of headers and fields it keeps those it
knows to be harmless and withholds the rest, so that a new one does not leak before somebody notices.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve
from leaks.spellings import JWT, OPAQUE, spellings
from vcr.request import Request

from recording import placeholders
from recording.bodies import BOUNDARY, Body, Part, parse, render

_REQUEST_HEADERS: Final = ("Accept", "Authorization", "Content-Type")
_ANSWER_HEADERS: Final = ("allow", "cache-control", "content-type", "pragma", "retry-after", "www-authenticate")
_OAUTH_FIELDS: Final = frozenset({"client_id", "error", "error_description", "error_uri", "expires_in", "grant_type"})
_KEPT_FIELDS: Final = _OAUTH_FIELDS | {"scope", "token_type", "username"} | {"body", "bytes", "method", "path", "query"}
_OTHERS: Final = {"client_secret": placeholders.OTHER_CLIENT_SECRET, "password": placeholders.OTHER_PASSWORD}
_SECRET_QUERY: Final = re.compile(r"((?:^|&)[^=&]*(?:token|secret|passw|code|key)[^=&]*=)[^&]*", re.IGNORECASE)


class Scrubber:
    """What one recording or one replay knows to be secret, and what it writes instead."""

    def __init__(self, known: Mapping[str, str]) -> None:
        """Replace each of the values of `known`, however it is encoded, by the placeholder beside it."""
        self._known = {placeholders.REPLAYED_ACCESS_TOKEN: placeholders.ACCESS_TOKEN, **known}
        self._refresh()

    @property
    def secrets(self) -> list[str]:
        """The values it replaces, those it learned from answers included."""
        return [value for value in self._known if value not in placeholders.REPLAYED]

    def learn(self, value: str, placeholder: str = placeholders.ACCESS_TOKEN) -> None:
        """Replace this value, too, from now on."""
        if value and value not in placeholders.ALL and value not in self._known:
            self._known[value] = placeholder
            self._refresh()

    def request(self, request: Request) -> Request:
        """Return a copy of a request without secrets; for vcrpy's `before_record_request`."""
        held = {name.lower(): value for name, value in request.headers.items()}
        content_type, body = self._body(held, request.body or b"")
        held["content-type"] = content_type
        if "authorization" in held:
            held["authorization"] = self._authorization(held["authorization"])
        headers = {name: self.text(held[name.lower()]) for name in _REQUEST_HEADERS if held.get(name.lower())}
        return Request(request.method, self._uri(request.uri), body, headers)

    def response(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of an answer without secrets; for vcrpy's `before_record_response`."""
        held = {name.lower(): ", ".join(values) for name, values in response["headers"].items()}
        self._learn_from(parse(held.get("content-type", ""), response["body"]["string"]))
        content_type, body = self._body(held, response["body"]["string"])
        held["content-type"] = content_type
        headers = {name: [self.text(held[name])] for name in _ANSWER_HEADERS if held.get(name)}
        return {"status": dict(response["status"]), "headers": headers, "body": {"string": body}}

    def text(self, text: str) -> str:
        """Return a text without the values that are known and without what looks like a token."""
        text = self._values.sub(lambda found: self._placeholder_of[found[0]], text)
        return OPAQUE.sub(placeholders.WITHHELD, JWT.sub(placeholders.WITHHELD, text))

    def _refresh(self) -> None:
        self._placeholder_of = {
            spelling: placeholder
            for value, placeholder in self._known.items()
            if value
            for spelling in spellings(value)
        }
        # One pass, the longest first: what was put in is not looked at again.
        longest_first = sorted(self._placeholder_of, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first)))

    def _authorization(self, value: str) -> str:
        scheme, _, bearer = value.partition(" ")
        if scheme.lower() != "bearer":
            return f"{scheme} {placeholders.WITHHELD}" if scheme.isalpha() and bearer else placeholders.WITHHELD
        return f"Bearer {self._secret(bearer, placeholders.OTHER_BEARER)}"

    def _secret(self, value: object, other: str) -> str:
        if isinstance(value, str):
            value = self._known.get(value, value)
        return value if isinstance(value, str) and value in placeholders.ALL else other

    def _uri(self, uri: str) -> str:
        address, mark, query = uri.partition("?")
        return self.text(address) + mark + self.text(_SECRET_QUERY.sub(r"\1withheld", query))

    def _body(self, headers: Mapping[str, str], written: bytes | str) -> tuple[str, bytes]:
        written = written.encode() if isinstance(written, str) else written
        content_type = headers.get("content-type", "")
        body = parse(content_type, written)
        if headers.get("content-encoding", "identity") != "identity":
            body = Body(body.media_type, "unreadable", None)
        match body.kind, body.content:
            case "none", _:
                return content_type, b""
            case "multipart", tuple() as parts:
                return render(body.holding(tuple(map(self._part, parts))))
            case "json", content:
                return render(body.holding(self._json("", content)))
            case "form", tuple() as pairs:
                return render(body.holding(tuple((self.text(name), self._field(name, value)) for name, value in pairs)))
            case _:
                # Without fields nobody knows what is secret in it. The matcher lets it match nothing.
                return body.media_type, placeholders.WITHHELD.encode()

    def _part(self, part: Part) -> Part:
        value = self._field(part.name, part.value)
        if BOUNDARY in value:
            value = placeholders.WITHHELD
        headers = tuple((self.text(name), self.text(text)) for name, text in part.headers)
        file_name = part.file_name and placeholders.WITHHELD
        return evolve(part, name=self.text(part.name), value=value, file_name=file_name, headers=headers)

    def _json(self, name: str, value: object) -> object:
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
        if name.lower() in _KEPT_FIELDS:
            return self.text(str(value))
        if name.lower() == "access_token":
            # Header-safe, because the code under test sends it back.
            return placeholders.REPLAYED_ACCESS_TOKEN
        return self._secret(value, _OTHERS.get(name.lower(), placeholders.WITHHELD))

    def _learn_from(self, body: Body) -> None:
        for name, value in _pairs(body.content):
            if name.lower().endswith("token") and isinstance(value, str):
                kind = placeholders.ACCESS_TOKEN if name.lower() == "access_token" else placeholders.WITHHELD
                self.learn(value, kind)


def _pairs(content: object) -> list[tuple[str, object]]:
    match content:
        case dict():
            return [*content.items(), *(pair for held in content.values() for pair in _pairs(held))]
        case list():
            return [pair for held in content for pair in _pairs(held)]
        case tuple():
            return [held for held in content if isinstance(held, tuple)]
        case _:
            return []
