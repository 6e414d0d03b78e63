"""
Finds what must not stand in a cassette: known secrets in any encoding, and whatever looks like a token.

It shares no decision with the scrubber: it decodes what is written instead of encoding what is known, and looks at
cassettes of any origin. A finding says where and what kind, never the value. Needs the `testing` extra.
"""

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote_plus

from attrs import define, frozen

from daxko_auth.model.credentials import secrets_from_env
from daxko_auth.model.extras import missing_extra
from daxko_auth.model.secret import Secret
from daxko_auth.testing.spellings import JWT, LONG, SHORTEST, looks_drawn_by_lot

try:
    import yaml
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(missing_extra("reading cassettes", error, "testing"), name=error.name) from None

_ENDINGS: Final = frozenset({".yaml", ".yml", ".json"})
# With libyaml where it is there: the other one takes seconds for a large cassette.
_LOADER: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BINARY: Final = "tag:yaml.org,2002:binary"

# Headers whose value is a secret, and what is said of them.
_HEADERS: Final = {
    "authorization": "credentials",
    "proxy-authorization": "credentials",
    "cookie": "a cookie",
    "set-cookie": "a cookie",
}
# What may stand there: nothing, a placeholder of ours, or the words that other scrubbers use.
_BLANK: Final = r"(?:<[^>]*>|placeholder-[\w-]*|%3C[\w-]*%3E|\W*|x+|dummy|fake|redacted|filtered|scrubbed|withheld)"
_STAND_IN: Final = re.compile(rf"(?:\w+ +)?{_BLANK}", re.IGNORECASE)
_NAMES: Final = r"(?:access_token|client_secret|id_token|password|refresh_token)"
_PLACES: Final = {
    "credentials": re.compile(
        rf'authorization\W{{1,5}}(?:bearer|basic|digest) +(?!{_BLANK}(?:\W|$)|\w+=")\S', re.IGNORECASE
    ),
    "a cookie": re.compile(rf"^\W*(?:set-)?cookie\s*:\s*(?!{_BLANK}\s*$)", re.IGNORECASE | re.MULTILINE),
    "a secret part": re.compile(rf'name="?{_NAMES}"?[^<]*?\r?\n\r?\n(?!{_BLANK}\s)\S', re.IGNORECASE),
    "a secret field": re.compile(rf'"(?:{_NAMES}|\w*cookie)"\s*:\s*"(?!{_BLANK}")', re.IGNORECASE),
    "a secret pair": re.compile(rf"\b{_NAMES}=(?!{_BLANK}(?:[&\s]|$))[^&\s]", re.IGNORECASE),
}
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_GZIP: Final = b"\x1f\x8b"
# More than any cassette unpacks to.
_LARGEST: Final = 1 << 26
# What a place is called in a finding; a name from the file may be a secret itself.
_KNOWN_NAMES: Final = frozenset({"request", "response", "uri", "headers", "body", "status"})


@frozen
class Finding:
    """Something in a file that must not be there."""

    file: Path
    #: Where in it, how it is written, and what it is.
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@frozen
class Scan:
    """What was looked at, and what was found."""

    files: int
    findings: tuple[Finding, ...]


def scan(paths: Iterable[Path], secrets: Iterable[str | Secret] = ()) -> Scan:
    """
    Look through cassettes, and through all `.yaml`, `.yml` and `.json` files in folders.

    Known are `secrets` and what the environment holds in DAXKO_PASSWORD, DAXKO_REFRESH_TOKEN and DAXKO_MEMBER_PASSWORD,
    or in files named by these with _FILE. What cannot be read, and a folder without a cassette, is a finding.

    Raises:
        CredentialsError: a file named by the environment cannot be read.
    """
    known = [secret if isinstance(secret, Secret) else Secret(secret) for secret in secrets]
    known += secrets_from_env().values()
    count = 0
    found: list[Finding] = []
    for path in paths:
        files = _files_in(path) if path.is_dir() else [path]
        count += len(files)
        if not files:
            found.append(Finding(path, "there is no cassette in this folder"))
        for file in files:
            found += [Finding(file, what) for what in _leaks_in(file, known)]
    return Scan(count, tuple(found))


def leaks(text: str, secrets: Iterable[str | Secret] = ()) -> list[str]:
    """
    Return where the text of a cassette holds what it must not: by value, in any encoding, and by shape and place.

    Raises:
        yaml.YAMLError: it is no YAML, nor JSON.
    """
    known = [secret if isinstance(secret, Secret) else Secret(secret) for secret in secrets]
    known = [secret for secret in known if len(secret.reveal()) >= SHORTEST]
    found: dict[str, None] = {}
    for where, written, what in _strings(text):
        # Of several readings of one string, the first that shows it: the plain one, if it does.
        kinds = {what: ""} if what else {}
        for how, view in _views(written):
            for kind in _kinds_in(view, known, is_decoded=how == _IN_BASE64):
                kinds.setdefault(kind, how)
        found |= {f"{where}{how}: {kind}": None for kind, how in kinds.items()}
    return list(found)


def _files_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())


def _leaks_in(file: Path, known: Iterable[Secret]) -> list[str]:
    try:
        return leaks(file.read_text("utf-8"), known)
    except OSError as error:
        return [f"it cannot be read: {error.strerror or type(error).__name__}"]
    except UnicodeError:
        return ["it cannot be read: it is not text in UTF-8"]
    except (yaml.YAMLError, ValueError, zlib.error):
        return ["it cannot be read: it is neither YAML nor JSON, or what it says is binary is not"]


def _kinds_in(view: str, known: Iterable[Secret], *, is_decoded: bool) -> Iterator[str]:
    if any(secret.reveal() in view for secret in known):
        yield "a known secret"
    if JWT.search(view):
        yield "a JWT"
    if is_decoded:
        return
    if any(map(looks_drawn_by_lot, LONG.findall(view))):
        yield "a long string drawn by lot"
    for kind, place in _PLACES.items():
        if place.search(view):
            yield kind


def _strings(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield where each string of a cassette stands, the string, and what it is if the place alone says so."""
    yield "in a comment", "\n".join(re.findall(r"^\s*#.*", text, re.MULTILINE)), ""
    levels = [_Level()]
    # Events, not what they make: so no tag runs anything, no depth is too deep, and an alias is nothing new.
    for event in yaml.parse(text, Loader=_LOADER):
        match event:
            case yaml.ScalarEvent():
                place, header = levels[-1].stand(event)
                written = _unpacked(event)
                yield " ".join(place) or "in the file", written, _said_by(header, written)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                levels.append(_Level(*levels[-1].stand(event), isinstance(event, yaml.MappingStartEvent)))
            case yaml.AliasEvent():
                levels[-1].stand(event)
            case yaml.CollectionEndEvent():
                levels.pop()
            case _:
                pass


@define
class _Level:
    """A mapping or a list of a cassette while its events come by."""

    place: tuple[str, ...] = ()
    #: The header that everything in it belongs to.
    header: str = ""
    is_mapping: bool = False
    #: The name of the value that comes next, in small letters; None while a name comes next.
    _name: str | None = None
    _number: int = 0

    def stand(self, event: yaml.Event) -> tuple[tuple[str, ...], str]:
        """Return the place and the header of what begins with this event."""
        name, self._name = self._name, None
        if not self.is_mapping:
            self._number += 1
            return ((f"interaction {self._number},",) if self.place == ("interactions",) else self.place), self.header
        if name is None:
            self._name = str(event.value).lower() if isinstance(event, yaml.ScalarEvent) else ""
            return self.place, ""
        is_known = name in _KNOWN_NAMES or (name == "interactions" and not self.place)
        return ((*self.place, name) if is_known else self.place), (name if name in _HEADERS else self.header)


def _said_by(header: str, written: str) -> str:
    return "" if not header or _STAND_IN.fullmatch(written) else _HEADERS[header]


def _unpacked(event: yaml.ScalarEvent) -> str:
    if event.tag != _BINARY:
        return str(event.value)
    packed = base64.b64decode(event.value)
    if packed.startswith(_GZIP):
        packed = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(packed, _LARGEST)
    return packed.decode("utf-8", "replace")


_IN_BASE64: Final = ", in base64"


def _views(written: str) -> Iterator[tuple[str, str]]:
    unescaped = _unescaped(written)
    yield "", written
    yield ", JSON-escaped", unescaped
    for readable in {written, unescaped}:
        once = unquote_plus(readable)
        yield ", percent-encoded", once
        yield ", percent-encoded", unquote_plus(once)
        for run in _BASE64.findall(once):
            yield from ((_IN_BASE64, decoded) for decoded in _decoded(run))


def _unescaped(text: str) -> str:
    plain = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else _plain(escape[2]), text)
    # Two escapes may have been one character.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain(letter: str) -> str:
    # Of the escapes of a single letter, those of white space; the rest stand for themselves.
    return {"n": "\n", "r": "\r", "t": "\t"}.get(letter, letter)


def _decoded(run: str) -> Iterator[str]:
    run = run.replace("-", "+").replace("_", "/")
    # It may begin anywhere in the run, for example behind a slash of a path.
    for start in range(4):
        piece = run[start:]
        piece = piece[: len(piece) - (len(piece) % 4 == 1)]
        yield base64.b64decode(piece + "=" * (-len(piece) % 4)).decode("utf-8", "replace")
