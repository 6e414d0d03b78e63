"""
Decodes a text step by step, in each way in which it can be decoded, and knows the way back.

A view is what one or more steps gave. Escapes of all kinds are decoded in one step, as they do not overlap; base64 at
any alignment and other charsets give views of their own. Each step takes time in proportion to what it reads.
"""

import binascii
import html.entities
import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from itertools import accumulate
from typing import Final

# Steps in which the text of a secret is decoded itself.
_MOST_OWN_DEPTH: Final = 3
#: A form of a secret that is shorter, because its own text can be decoded, stands in many texts by chance.
SHORTEST_FORM: Final = 4
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
# UTF-8 that somebody read as Latin-1, as HTTP libraries read headers, or as cp1252: each byte became a character.
_MISREAD: Final = re.compile(
    rb"[\xc2\xc3][\x80-\xbf]|\xc5[\x92\x93\xa0\xa1\xb8\xbd\xbe]|\xc6\x92|\xcb[\x86\x9c]"
    rb"|\xe2(?:\x80[\x93\x94\x98-\x9a\x9c-\x9e\xa0-\xa2\xa6\xb0\xb9\xba]|\x82\xac|\x84\xa2)"
)
_LETTERS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
# Eleven letters hold eight bytes. Lines are wrapped by MIME.
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{11,}(?:\r?\n[ \t]*[A-Za-z0-9+/_-]+)*")
_LINE: Final = re.compile(rb"[A-Za-z0-9+/_-]+")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_FILLER: Final = b"AAAA"
# Two letters or signs of ASCII, as all escapes begin.
_UTF_16: Final = re.compile(rb"[ -~]\0[ -~]\0")
#: What may be the beginning of an escape with what follows.
OPEN_END: Final = re.compile(rb"(?:[%=][0-9A-Fa-f]?|[\\&])+\Z")
# What no escape, base64 or character has in it.
_GAP: Final = b"\xff"

Span = tuple[int, int]
Trace = Callable[[int, int], Span]


class View:
    """A text, or what decoding it gave, and the way back from a part of it to a part of the text."""

    __slots__ = ("data", "is_plain", "trace")

    def __init__(self, data: bytes, trace: Trace, *, is_plain: bool = True) -> None:
        self.data = data
        self.trace = trace
        #: Whether it is a reading of the same characters, and not of what base64 or another charset held.
        self.is_plain = is_plain


@cache
def _readings() -> tuple[tuple[re.Pattern[bytes], re.Pattern[bytes]], ...]:
    """Return a sign that begins escapes, and the escapes; made on first use, as it takes a while."""
    # Where a sign has two meanings, with each of them: in `token=d9...` it is that of a form, a reference of HTML may
    # lack its semicolon, and of two backslashes the second may be the first sign of what follows.
    usual = _ESCAPES + b"|" + _BACKSLASHES.pattern
    return (
        (re.compile(rb"[%\\&]"), re.compile(usual)),
        (_QUOTED_PRINTABLE, re.compile(usual + b"|" + _QUOTED_PRINTABLE.pattern)),
        (re.compile(rb"&[#A-Za-z]"), re.compile(usual.replace(b";", b";?"))),
        (_BACKSLASHES, re.compile(_ESCAPES + rb"|\\\\(?![\"'/bfnrtux])")),
    )


def decoded(view: View, reach: int) -> Iterator[View]:
    """
    Yield what one step makes of a view.

    Of a long one only what is within `reach` bytes of an escape: as far as a secret can go on, spelt at its longest.
    """
    for sign, escapes in _readings():
        if sign.search(view.data):
            yield from _unescaped(view, escapes, reach)
    if not view.data.isascii():
        yield from _unescaped(view, _MISREAD, reach)
    yield from _out_of_base64(view)


def readings(view: View, reach: int) -> Iterator[View]:
    """Yield a view as it is and in other charsets, each also with what belongs together joined."""
    # A line may break within an escape, which is one only without that.
    for whole in (view, *_unescaped(view, _JOINTS, reach)):
        for reading in (whole, *_out_of_utf_16(whole, reach)):
            yield from (reading, *_unescaped(reading, _JOINTS, reach))


def _unescaped(view: View, pattern: re.Pattern[bytes], reach: int) -> Iterator[View]:
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
        meaning = _meaning(found.group())
        if meaning is None:
            continue
        char, length = meaning
        start = found.start()
        end = start + length
        first, last = (done + reach if pieces else 0), start - reach
        if first < last:
            replace(first, last, _GAP)
        replace(start, end, char)
    if not pieces:
        return
    pieces.append(data[done : done + reach])

    def way_back(start: int, end: int) -> Span:
        first, last = bisect_right(made, start) - 1, bisect_right(made, end - 1) - 1
        came_from = taken[first] if first % 2 else taken[first] + start - made[first]
        return trace(came_from, taken[last + 1] if last % 2 else taken[last] + end - made[last])

    yield View(b"".join(pieces), way_back, is_plain=view.is_plain)


@lru_cache(maxsize=4096)
def _meaning(escape: bytes) -> tuple[bytes, int] | None:
    """Return what an escape stands for, and how much of it is one; None if it is none after all."""
    sign, kind = escape[:1], escape[1:2]
    if sign == b"&":
        return _number(escape) if kind == b"#" else _name(escape)
    if sign == b"\\" and kind not in (b"u", b"x"):
        char = _LETTERS.get(kind, kind)
    elif kind == b"u":
        units = bytes.fromhex(escape[2:6].decode() + escape[8:].decode())
        char = bytes_of(units.decode("utf-16-be", "surrogatepass"))
    elif sign == b"\xed":
        char = _joined(escape.decode("utf-8", "surrogatepass")).encode()
    elif sign > b"\x7f":
        misread = escape.decode()
        char = misread.encode("latin-1" if misread <= "\xff" else "cp1252")
    else:
        char = bytes.fromhex(escape.strip(b"=%\\x \t\r\n").decode())
    return char, len(escape)


def _number(reference: bytes) -> tuple[bytes, int] | None:
    number = reference[2:].rstrip(b";").lower()
    code = int(number.removeprefix(b"x"), 16 if number.startswith(b"x") else 10)
    return (bytes_of(chr(code)), len(reference)) if code <= sys.maxunicode else None


def _name(reference: bytes) -> tuple[bytes, int] | None:
    # Also one that goes on with what follows: `&ouml` in `&oumlig`.
    name = reference[1:].decode()
    known = next((name[:end] for end in range(len(name), 1, -1) if name[:end] in html.entities.html5), None)
    return None if known is None else (bytes_of(html.entities.html5[known]), 1 + len(known))


def _out_of_base64(view: View) -> Iterator[View]:
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

        def way_back(start: int, end: int, shift: int = shift) -> Span:
            return trace(place(shift + start * 4 // 3), place(shift + (end * 4 + 2) // 3 - 1) + 1)

        yield View(binascii.a2b_base64(part), way_back, is_plain=False)


def _out_of_utf_16(view: View, reach: int) -> Iterator[View]:
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


def _in_utf_16(trace: Trace, begins: int, text: str) -> View:
    ways: list[Trace] = []

    def way_back(start: int, end: int) -> Span:
        if not ways:
            ways.append(between(map(len, map(str.encode, text)), map(_length_in_utf_16, text)))
        first, last = ways[0](start, end)
        return trace(begins + first, begins + last)

    return View(text.encode(), way_back, is_plain=False)


def _length_in_utf_16(char: str) -> int:
    return 2 if char <= "\uffff" else 4


def between(lengths: Iterable[int], lengths_there: Iterable[int]) -> Trace:
    """Return the way from one form of a text to another; of each character, the length in either is given."""
    ends = list(accumulate(lengths))
    places = [0, *accumulate(lengths_there)]
    return lambda start, end: (places[bisect_right(ends, start)], places[bisect_right(ends, end - 1) + 1])


def own_forms(*written: bytes) -> tuple[int, set[bytes]]:
    """Return what was written and all that it can be decoded to itself, with the number of steps that takes."""
    forms = set(written)
    steps = forms
    depth = 0
    while steps and depth < _MOST_OWN_DEPTH:
        further = {form for step in steps for form in _steps_from(step)}
        depth += bool(further)
        steps = {form for form in further if len(form) >= SHORTEST_FORM} - forms
        forms |= steps
    return depth, forms


def _steps_from(written: bytes) -> Iterator[bytes]:
    for _, escapes in _readings():
        yield from (view.data for view in _unescaped(View(written, same), escapes, len(written)))


def same(start: int, end: int) -> Span:
    """Go no way at all: a text is its own first view."""
    return start, end


def in_charsets(secret: str) -> set[bytes]:
    """Return a secret in UTF-8, cp1252 and Latin-1."""
    # Two halves of a character are one in JSON. What the last two charsets lack was escaped.
    mixed = (
        b"".join(char.encode(charset, "ignore") or bytes_of(char) for char in secret)
        for charset in ("cp1252", "latin-1")
    )
    return {bytes_of(secret), bytes_of(_joined(secret)), *mixed}


def _joined(text: str) -> str:
    """Return a text with each two halves of a character as one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def unlike_utf_16(secret: str) -> set[bytes]:
    """Return a secret, also one that was misread, in UTF-16 if it has none of what UTF-16 is recognized by."""
    in_bytes = bytes_of(secret)
    as_cp1252 = (bytes((byte,)).decode("cp1252", "ignore") or chr(byte) for byte in in_bytes)
    texts = {secret, in_bytes.decode("latin-1"), "".join(as_cp1252)}
    encoded = {text.encode(charset, "surrogatepass") for text in texts for charset in ("utf-16-le", "utf-16-be")}
    return {each for each in encoded if not _UTF_16.search(each)}


def bytes_of(text: str) -> bytes:
    """Return any text in UTF-8, half characters included."""
    return text.encode("utf-8", "surrogatepass")
