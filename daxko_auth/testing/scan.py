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

from attrs import frozen

from daxko_auth.facts.credentials import secrets_from_env
from daxko_auth.facts.secret import Secret
from daxko_auth.testing.spellings import JWT, LONG, SHORTEST, looks_drawn_by_lot

try:
    import yaml
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"cassettes are read with {error.name}, which is not installed: pip install 'daxko-auth[testing]', "
        "or in a checkout: pip install '.[testing]'",
        name=error.name,
    ) from None

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
        if what:
            found[f"{where}: {what}"] = None
        for how, view in _views(written):
            place = f"{where}{how}"
            if any(secret.reveal() in view for secret in known):
                found[f"{place}: a known secret"] = None
            for kind in _kinds_in(view, is_decoded=how == _IN_BASE64):
                found[f"{place}: {kind}"] = None
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
    except (yaml.YAMLError, RecursionError):
        return ["it cannot be read: it is neither YAML nor JSON"]


def _kinds_in(view: str, *, is_decoded: bool) -> Iterator[str]:
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
    comments = "\n".join(re.findall(r"^\s*#.*", text, re.MULTILINE))
    yield "in a comment", comments, ""
    root = _LOADER(text).get_single_node()
    if root is not None:
        yield from _strings_of(root, (), "", set())


def _strings_of(node: yaml.Node, place: tuple[str, ...], header: str, seen: set[int]) -> Iterator[tuple[str, str, str]]:
    # The nodes and not what they stand for: so no tag matters, and none can run anything. An alias is the same node.
    if id(node) in seen:
        return
    seen.add(id(node))
    match node:
        case yaml.ScalarNode():
            written = _unpacked(node)
            yield " ".join(place) or "in the file", written, _said_by(header, written)
        case yaml.SequenceNode():
            is_list = place == ("interactions",)
            for number, held in enumerate(node.value, 1):
                yield from _strings_of(held, (f"interaction {number},",) if is_list else place, header, seen)
        case yaml.MappingNode():
            for key, held in node.value:
                yield from _strings_of(key, place, "", seen)
                name = key.value.lower() if isinstance(key, yaml.ScalarNode) else ""
                inner = (*place, name) if name in _KNOWN_NAMES or (name == "interactions" and not place) else place
                yield from _strings_of(held, inner, name if name in _HEADERS else header, seen)
        case _:  # pragma: no cover - there is no other kind of node
            pass


def _said_by(header: str, written: str) -> str:
    return "" if not header or _STAND_IN.fullmatch(written) else _HEADERS[header]


def _unpacked(node: yaml.ScalarNode) -> str:
    if node.tag != _BINARY:
        return str(node.value)
    packed = base64.b64decode(node.value)
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
