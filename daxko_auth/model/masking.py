"""
Makes text from outside fit for a message, a log or a terminal: secrets masked in any spelling, and all of it printable.

Nothing here lists how a secret may be written. A text is decoded step by step, in every way in which it can be, and in
each of these views the secrets are looked for; what is found is traced back to where it stands in the text. The number
of steps and the size of all views are bounded; what cannot be looked through within these bounds is masked whole.
"""

import binascii
import codecs
import html.entities
import re
import sys
import unicodedata
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate
from typing import AnyStr, Final

from attrs import field, frozen

from daxko_auth.model.secret import Secret

MASK: Final = "***"
#: Characters. Shorter secrets stand in many texts by chance, so they are looked for as they are and decoded once.
SHORTEST: Final = 8

# Steps from the text to a view: three spellings, and those that a secret's own text takes.
_DEPTH: Final = 3
_MOST_OWN_DEPTH: Final = 3
# Bytes of all views together, for each byte of the text and for any text.
_LARGEST_VIEWS: Final = 32
_VIEWS_OF_ANY: Final = 1 << 22
# A form of a secret that is shorter, because its own text can be decoded, stands in many texts by chance.
_SHORTEST_FORM: Final = 4
# From how many secrets on it is faster to look up each piece of a view than to look for each secret.
_MANY: Final = 200

_ESCAPES: Final = (
    # Percent-encoding, as in URLs and forms, and as JavaScript's escape() wrote it.
    rb"%[0-9A-Fa-f]{2}"
    # JSON, and the strings of programs. A character beyond the first 65,536 takes two.
    rb"|[\\%]u[dD][89abAB][0-9A-Fa-f]{2}[\\%]u[dD][c-fC-F][0-9A-Fa-f]{2}|[\\%]u[0-9A-Fa-f]{4}"
    rb"|\\x[0-9A-Fa-f]{2}|\\[\"'/bfnrt]"
    # HTML.
    rb"|&#[0-9]{1,8};|&#[xX][0-9A-Fa-f]{1,8};|&[A-Za-z][A-Za-z0-9]{1,31};"
)
_QUOTED_PRINTABLE: Final = re.compile(rb"=[0-9A-Fa-f]{2}")
# What belongs together: the two lines at a soft break of quoted-printable, and the two halves of a character.
_JOINTS: Final = re.compile(rb"=[ \t]*\r?\n|\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_BACKSLASHES: Final = re.compile(rb"\\\\")
# Where a sign has two meanings, with each of them: in `token=d9...` it is that of a form, and of two backslashes the
# second may be the first sign of what follows.
_READINGS: Final = (
    (re.compile(rb""), re.compile(_ESCAPES + b"|" + _BACKSLASHES.pattern)),
    (_QUOTED_PRINTABLE, re.compile(_ESCAPES + b"|" + _BACKSLASHES.pattern + b"|" + _QUOTED_PRINTABLE.pattern)),
    (_BACKSLASHES, re.compile(_ESCAPES + rb"|\\\\(?![\"'/bfnrtux])")),
)
# UTF-8 that somebody read as Latin-1, as HTTP libraries read headers.
_MISREAD: Final = re.compile(rb"[\xc2\xc3][\x80-\xbf]")
_OPEN_END: Final = re.compile(rb"(?:[%=][0-9A-Fa-f]?|[\\&])+\Z")
_LETTERS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
# Eleven letters hold eight bytes. Lines are wrapped by MIME.
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{11,}(?:\r?\n[ \t]*[A-Za-z0-9+/_-]+)*")
_LINE: Final = re.compile(rb"[A-Za-z0-9+/_-]+")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_FILLER: Final = b"AAAA"
# Two letters or signs of ASCII, as all escapes begin.
_UTF_16: Final = re.compile(rb"[ -~]\0[ -~]\0")
# Codes of RFC 6749 section 5.2 and RFC 6750 section 3.1: words of theirs, even if a password is one of the words.
_CODES: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_token",
        "insufficient_scope",
    }
)
_LONG_WORD: Final = re.compile(r"eyJ[A-Za-z0-9_.-]{6,}|[A-Za-z0-9+/_-]{20,}=*")
_PIECE: Final = re.compile(r"[A-Za-z0-9]+")
# No part of a UUID, and no word with a number, is as long; and no name of a thing is as long as the other.
_LONGEST_MIXED: Final = 20
_LONGEST_WORD: Final = 40
# Printable by the tables of Unicode, and yet not seen: fillers, joiners and selectors, but for those of emoji.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
_LINE_ENDS: Final = "\u2028\u2029"
# As many as most texts have, garbage included.
_MOST_CHARACTERS: Final = 1 << 16
# What no escape, base64 or character has in it.
_GAP: Final = b"\xff"

_Span = tuple[int, int]
_Trace = Callable[[int, int], _Span]


@frozen
class Found:
    """Where in a text a secret stands, in whatever spelling: from `start` to before `end`, or more widely."""

    start: int
    end: int
    secret: Secret = field(repr=False)


@frozen(eq=False)
class _View:
    """A text, or what decoding it gave, and the way back from a part of it to a part of the text."""

    data: bytes = field(repr=False)
    trace: _Trace
    #: Whether it is a reading of the same characters, and not of what base64 or another charset held.
    is_plain: bool = True


@frozen
class _Form:
    """A form of a secret that is looked for, without the bytes that were cut off its end."""

    secret: Secret
    cut: int = 0


class KnownSecrets:
    """Secrets to be found in texts. More can be added; it takes no longer the more there are."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._secrets: dict[Secret, None] = {}
        # By their first characters, folded; and as bytes, with a blank for a plus.
        self._folded: defaultdict[str, dict[str, _Form]] = defaultdict(dict)
        self._bytes: dict[bytes, _Form] = {}
        self._short: dict[bytes, _Form] = {}
        self._depth = _DEPTH
        # As far from an escape as a secret can go on, spelt at its longest.
        self._reach = 0
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Look for this one, too, from now on; a blank one is nowhere."""
        if not secret or secret in self._secrets:
            return
        self._secrets[secret] = None
        written = _bytes_of(secret.reveal())
        self._reach = max(self._reach, 16 * len(written) + 64)
        if len(secret.reveal()) < SHORTEST:
            self._short |= dict.fromkeys((written, written.replace(b" ", b"+")), _Form(secret))
            return
        for form in _unlike_utf_16(secret.reveal()):
            self._bytes[_spaced(form)] = _Form(secret)
        for encoded in _in_charsets(secret.reveal()):
            depth, forms = _own_forms(encoded)
            self._depth = max(self._depth, _DEPTH + depth)
            for form in forms:
                self._look_for(form, _Form(secret))
                # A sign before it may make an escape of its beginning.
                begun = {sign + form for sign in (b"%", b"\\", b"=", b"&")}
                for eaten in _own_forms(*begun)[1] - begun:
                    self._bytes.setdefault(_spaced(eaten), _Form(secret))
                # Its last sign may be the first one of an escape with what follows.
                cut = _OPEN_END.sub(b"", form)
                if _SHORTEST_FORM <= len(cut) < len(form):
                    self._look_for(cut, _Form(secret, cut=len(form) - len(cut)))

    def _look_for(self, written: bytes, form: _Form) -> None:
        folded = _folded(written)
        if len(folded) >= SHORTEST:
            self._folded[folded[:SHORTEST]].setdefault(folded, form)
        else:
            self._bytes.setdefault(_spaced(written), form)

    def find(self, text: str | bytes) -> list[Found]:
        """Return where secrets stand in `text`, in order; what overlaps is one."""
        if not self._secrets:
            return []
        data = _bytes_of(text) if isinstance(text, str) else text
        spans = sorted(self._spans(data), key=lambda span: (span[0], -span[1]))
        merged: list[tuple[int, int, Secret]] = []
        for start, end, secret in spans:
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]), merged[-1][2])
            else:
                merged.append((start, end, secret))
        return [Found(*span) for span in (_in_characters(data, merged) if isinstance(text, str) else merged)]

    def mask(self, text: str, by: Callable[[Secret], str] = lambda _: MASK) -> str:
        """Return `text` with what `by` gives for each secret in its place."""
        return _replaced(text, [(found, by(found.secret)) for found in self.find(text)])

    def mask_bytes(self, data: bytes, by: Callable[[Secret], str] = lambda _: MASK) -> bytes:
        """Do the same to bytes in any charset; in UTF-16 where they begin with its mark, and else in UTF-8."""
        charset = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(data[:2])
        if charset:
            with suppress(UnicodeError):
                data = self.mask(data.decode(charset), by).encode(charset)
        # In any case, as a mark may say what is not so.
        masks = [(found, by(found.secret).encode().decode("latin-1")) for found in self.find(data)]
        return _replaced(data.decode("latin-1"), masks).encode("latin-1")

    def _spans(self, data: bytes) -> Iterator[tuple[int, int, Secret]]:
        waiting = deque((reading, 0) for reading in _readings(_View(data, _same), self._reach, is_text=True))
        seen: set[tuple[int, int]] = set()
        left = len(data) * _LARGEST_VIEWS + _VIEWS_OF_ANY
        while waiting:
            view, depth = waiting.popleft()
            left -= len(view.data)
            if left < 0:
                yield 0, len(data), next(iter(self._secrets))
                return
            # The same at another place is another one.
            key = (view.trace(0, 1)[0], hash(view.data))
            if key in seen:
                continue
            seen.add(key)
            for start, end, form in self._in_view(view, depth):
                if depth or not form.cut:
                    yield *view.trace(start, min(end + form.cut, len(view.data))), form.secret
            if depth < self._depth:
                further = (each for made in _decoded(view, self._reach) for each in _readings(made, self._reach))
                waiting.extend((each, depth + 1) for each in further)

    def _in_view(self, view: _View, depth: int) -> Iterator[tuple[int, int, _Form]]:
        if self._short and view.is_plain and depth <= 1:
            yield from _occurrences(view.data, self._short.items())
        if self._bytes:
            yield from _occurrences(_spaced(view.data), self._bytes.items())
        if not self._folded:
            return
        text = view.data.decode(*_UTF_8)
        folded = text.translate(_FOLDING)
        heads: Iterable[str] = self._folded
        if len(self._folded) > _MANY:
            heads = {folded[at : at + SHORTEST] for at in range(len(folded))} & self._folded.keys()
        way_back: _Trace | None = None
        for head in heads:
            for start, end, form in _occurrences(folded, self._folded[head].items()):
                # Only needed where there is something.
                way_back = way_back or _between(
                    map(len, map(_FOLDING.__getitem__, map(ord, text))), (len(char.encode(*_UTF_8)) for char in text)
                )
                yield *way_back(start, end), form


def _replaced(text: str, masks: Iterable[tuple[Found, str]]) -> str:
    pieces: list[str] = []
    done = 0
    for found, mask in masks:
        pieces += [text[done : found.start], mask]
        done = found.end
    return "".join([*pieces, text[done:]])


def quote(text: object, secrets: Iterable[Secret], *, limit: int = 200) -> str | None:
    """
    Return a server's free text as it may stand in a message, at most `limit` characters; None if it is no text.

    Known codes stay as they are. Of all else short printable words stay, in one line: known secrets are masked in any
    spelling, and whatever looks like a token.
    """
    if not isinstance(text, str):
        return None
    if text in _CODES:
        return text
    known = KnownSecrets(secrets)
    said = Secret(known.mask(text))
    del text  # as long as there may be a secret in it, no traceback shows it
    # Once more, as what was broken into lines is put together here.
    said = Secret(known.mask(" ".join(said.reveal().translate(_BLANKED).split())))
    quoted = _LONG_WORD.sub(_masked_if_a_token, said.reveal())
    return (quoted if len(quoted) <= limit else quoted[: limit - 3] + "...") or None


def _masked_if_a_token(word: re.Match[str]) -> str:
    looks_like_words = "eyJ" not in word[0] and len(word[0]) < _LONGEST_WORD
    return word[0] if looks_like_words and not any(map(_looks_random, _PIECE.findall(word[0]))) else MASK


def _looks_random(piece: str) -> bool:
    return len(piece) >= _LONGEST_MIXED and not piece.isalpha() and not piece.isdigit()


def printable(text: str, *, keep_lines: bool = False) -> str:
    """
    Return `text` as it may be shown on a terminal or written to a log: nothing in it acts, or is not seen.

    Control and format characters, half characters and whatever else has no look are shown by their number. A line break
    is one of them, unless the lines are to be kept.
    """
    if not keep_lines:
        return text.translate(_SHOWN)
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(part.translate(_SHOWN) for part in line.split("\t")) for line in lines)


def _is_seen(char: str) -> bool:
    return char.isprintable() and not _UNSEEN.match(char)


class _Characters(dict[int, str]):
    """For `str.translate`: what stands for each character, worked out once for the first some thousand of them."""

    def __init__(self, meant: Callable[[str], str]) -> None:
        super().__init__()
        self._meant = meant

    def __missing__(self, code: int) -> str:
        meant = self._meant(chr(code))
        if len(self) < _MOST_CHARACTERS:
            self[code] = meant
        return meant


def _shown(char: str) -> str:
    # A blank of another width is seen as well.
    return (
        char
        if _is_seen(char)
        else " "
        if char.isspace() and char > "\x9f" and char not in _LINE_ENDS
        else _number(char)
    )


def _number(char: str) -> str:
    return char.encode("unicode_escape").decode()


_SHOWN: Final = _Characters(_shown)
_BLANKED: Final = _Characters(lambda char: char if _is_seen(char) else " ")


# Looking: the same characters, folded; for comparison only.


def _compared(char: str) -> str:
    """Return what a character is compared as: without case, form, blanks, and what nobody sees."""
    if "\udc80" <= char <= "\udcff":
        # A byte that is no UTF-8 stands for itself.
        return char
    if "\x80" <= char <= "\x9f":
        char = char.encode("latin-1").decode("cp1252", "ignore")
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", char).casefold())
    # A plus is a blank in a form.
    return "".join(each for each in folded if _is_seen(each) and each not in " +")


_FOLDING: Final = _Characters(_compared)
_UTF_8: Final = ("utf-8", "surrogateescape")


def _folded(data: bytes) -> str:
    return data.decode(*_UTF_8).translate(_FOLDING)


def _spaced(data: bytes) -> bytes:
    return data.replace(b"+", b" ")


def _between(lengths: Iterable[int], lengths_there: Iterable[int]) -> _Trace:
    """Return the way from one form of a text to another; of each character, the length in either is given."""
    ends = list(accumulate(lengths))
    places = [0, *accumulate(lengths_there)]
    return lambda start, end: (places[bisect_right(ends, start)], places[bisect_right(ends, end - 1) + 1])


def _occurrences(text: AnyStr, forms: Iterable[tuple[AnyStr, _Form]]) -> Iterator[tuple[int, int, _Form]]:
    for written, form in forms:
        at = text.find(written)
        while at >= 0:
            yield at, at + len(written), form
            at = text.find(written, at + len(written))


# Decoding: from a view to those that are one step further.


def _decoded(view: _View, reach: int) -> Iterator[_View]:
    for sign, escapes in _READINGS:
        if sign.search(view.data):
            yield from _unescaped(view, escapes, reach)
    yield from _out_of_base64(view)


def _readings(view: _View, reach: int, *, is_text: bool = False) -> Iterator[_View]:
    """Yield a view as it is and in other charsets, each also with what belongs together joined."""
    # A line may break within an escape, which is one only without that.
    for whole in (view, *_unescaped(view, _JOINTS, reach)):
        misread = _unescaped(whole, _MISREAD, reach) if is_text else ()
        for reading in (whole, *misread, *_out_of_utf_16(whole, reach)):
            yield from (reading, *_unescaped(reading, _JOINTS, reach))


def _unescaped(view: _View, pattern: re.Pattern[bytes], reach: int) -> Iterator[_View]:
    """Yield what each escape stands for, with as much around it as a secret can reach; nothing if there is none."""
    data, trace = view.data, view.trace
    pieces: list[bytes] = []
    # Where a piece begins in the view made and in this one: in turn what is kept, and what stands for something else.
    made, taken = [0], [0]
    done = size = 0

    def replace(start: int, end: int, by: bytes) -> None:
        nonlocal done, size
        pieces.extend((data[done:start], by))
        made.append(size := size + start - done)
        made.append(size := size + len(by))
        taken.extend((start, end))
        done = end

    for found in pattern.finditer(data):
        char = _meaning(found.group())
        if char is None:
            continue
        start, end = found.span()
        first, last = (done + reach if pieces else 0), start - reach
        if first < last:
            replace(first, last, _GAP)
        replace(start, end, char)
    if not pieces:
        return
    pieces.append(data[done : done + reach])

    def way_back(start: int, end: int) -> _Span:
        first, last = bisect_right(made, start) - 1, bisect_right(made, end - 1) - 1
        came_from = taken[first] if first % 2 else taken[first] + start - made[first]
        return trace(came_from, taken[last + 1] if last % 2 else taken[last] + end - made[last])

    yield _View(b"".join(pieces), way_back, view.is_plain)


@lru_cache(maxsize=4096)
def _meaning(escape: bytes) -> bytes | None:
    """Return what an escape stands for, or None if it is none after all."""
    sign, kind = escape[:1], escape[1:2]
    if sign == b"&":
        return _character(escape[1:].rstrip(b";").decode())
    if sign == b"\\" and kind not in (b"u", b"x"):
        return _LETTERS.get(kind, kind)
    if kind == b"u":
        units = bytes.fromhex(escape[2:6].decode() + escape[8:].decode())
        return _bytes_of(units.decode("utf-16-be", "surrogatepass"))
    if sign == b"\xed":
        return _joined(escape.decode("utf-8", "surrogatepass")).encode()
    if sign in (b"\xc2", b"\xc3"):
        return escape.decode().encode("latin-1")
    return bytes.fromhex(escape.strip(b"=%\\x \t\r\n").decode())


def _character(reference: str) -> bytes | None:
    if not reference.startswith("#"):
        named = html.entities.html5.get(f"{reference};")
        return None if named is None else _bytes_of(named)
    number = reference[1:].lower()
    code = int(number.removeprefix("x"), 16 if number.startswith("x") else 10)
    return _bytes_of(chr(code)) if code <= sys.maxunicode else None


def _out_of_base64(view: _View) -> Iterator[_View]:
    """Yield what all base64 in it holds, for each of the four places at which the first whole letter may stand."""
    trace = view.trace
    letters: list[bytes] = []
    # Of each line: where it begins among all letters, and from where to where it stands in the view.
    begins: list[int] = []
    lines: list[tuple[int, int]] = []
    size = 0
    for run in _BASE64.finditer(view.data):
        for line in _LINE.finditer(view.data, *run.span()):
            begins.append(size)
            lines.append(line.span())
            letters.append(line.group())
            size += len(letters[-1])
        letters.append(b"A" * (-size % 4) + _FILLER)
        size += len(letters[-1])
    joined = b"".join(letters).translate(_URL_SAFE)

    def place(letter: int) -> int:
        index = bisect_right(begins, letter) - 1
        start, end = lines[index]
        return min(start + letter - begins[index], end - 1)

    for shift in range(4 if letters else 0):
        part = joined[shift : shift + (len(joined) - shift) // 4 * 4]

        def way_back(start: int, end: int, shift: int = shift) -> _Span:
            return trace(place(shift + start * 4 // 3), place(shift + (end * 4 + 2) // 3 - 1) + 1)

        yield _View(binascii.a2b_base64(part), way_back, is_plain=False)


def _out_of_utf_16(view: _View, reach: int) -> Iterator[_View]:
    """Yield what each stretch around letters in UTF-16 says, in either order and from either byte on."""
    stretches: list[tuple[int, int]] = []
    for found in _UTF_16.finditer(view.data):
        start, end = max(found.start() - reach, 0), found.end() + reach
        if stretches and start <= stretches[-1][1]:
            start = stretches.pop()[0]
        stretches.append((start, end))
    for first, last in stretches:
        for start in (first, first + 1):
            part = view.data[start:last]
            for charset in ("utf-16-le", "utf-16-be"):
                yield _in_utf_16(view.trace, start, part[: len(part) // 2 * 2].decode(charset, "replace"))


def _in_utf_16(trace: _Trace, begins: int, text: str) -> _View:
    ways: list[_Trace] = []

    def way_back(start: int, end: int) -> _Span:
        if not ways:
            ways.append(_between(map(len, map(str.encode, text)), map(_length_in_utf_16, text)))
        first, last = ways[0](start, end)
        return trace(begins + first, begins + last)

    return _View(text.encode(), way_back, is_plain=False)


def _length_in_utf_16(char: str) -> int:
    return 2 if char <= "\uffff" else 4


# Knowing: what is looked for.


def _own_forms(*written: bytes) -> tuple[int, set[bytes]]:
    """Return what was written and all that it can be decoded to itself, with the number of steps that takes."""
    forms = set(written)
    steps = forms
    depth = 0
    while steps and depth < _MOST_OWN_DEPTH:
        further = {form for step in steps for form in _steps_from(step)}
        depth += bool(further)
        steps = {form for form in further if len(form) >= _SHORTEST_FORM} - forms
        forms |= steps
    return depth, forms


def _steps_from(written: bytes) -> Iterator[bytes]:
    for _, escapes in _READINGS:
        yield from (view.data for view in _unescaped(_View(written, _same), escapes, len(written)))


def _same(start: int, end: int) -> _Span:
    return start, end


def _in_charsets(secret: str) -> set[bytes]:
    # Two halves of a character are one in JSON. What the last two charsets lack was escaped.
    mixed = (
        b"".join(char.encode(charset, "ignore") or _bytes_of(char) for char in secret)
        for charset in ("cp1252", "latin-1")
    )
    return {_bytes_of(secret), _bytes_of(_joined(secret)), *mixed}


def _joined(text: str) -> str:
    """Return a text with each two halves of a character as one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _unlike_utf_16(secret: str) -> set[bytes]:
    """Return a secret in UTF-16 if it has none of what UTF-16 is recognized by."""
    encoded = {secret.encode(charset, "surrogatepass") for charset in ("utf-16-le", "utf-16-be")}
    return {each for each in encoded if not _UTF_16.search(each)}


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _in_characters(data: bytes, spans: Iterable[tuple[int, int, Secret]]) -> Iterator[tuple[int, int, Secret]]:
    """Turn places in the bytes of a text into places in the text; half a character is a whole one."""
    count = done = 0
    for start, end, secret in spans:
        places: list[int] = []
        for at, step in ((start, -1), (end, 1)):
            while 0 < at < len(data) and data[at] & 0xC0 == 0x80:  # noqa: PLR2004 - goes on, in UTF-8
                at += step  # noqa: PLW2901
            at = max(at, done)  # noqa: PLW2901
            count += len(data[done:at].decode("utf-8", "surrogatepass"))
            done = at
            places.append(count)
        yield places[0], places[1], secret
