"""
Makes text from outside fit for a message, a log or a terminal: secrets masked in any spelling, and all of it printable.

Nothing here lists how a secret may be written. A text is decoded step by step, in every way in which it can be, and in
each of these views the secrets are looked for; what is found is traced back to where it stands in the text. The number
of steps and the size of all views are bounded; what cannot be looked through within these bounds is masked whole.
"""

import codecs
import re
import unicodedata
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import AnyStr, Final, NamedTuple

from daxko_auth.model.decoding import (
    OPEN_END,
    SHORTEST_FORM,
    Trace,
    View,
    between,
    bytes_of,
    decoded,
    in_charsets,
    own_forms,
    readings,
    same,
    unlike_utf_16,
)
from daxko_auth.model.secret import Secret

MASK: Final = "***"
#: Characters. Shorter secrets stand in many texts by chance, so they are looked for as they are and decoded once.
SHORTEST: Final = 8

# Steps from the text to a view: three spellings, and those that a secret's own text takes.
_DEPTH: Final = 3
# Bytes of all views together, for each byte of the text and for any text.
_LARGEST_VIEWS: Final = 32
_VIEWS_OF_ANY: Final = 1 << 22
# From how many secrets on it is faster to look up each piece of a view than to look for each secret.
_MANY: Final = 200

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
_DIGITS: Final = frozenset(bytes((digit,)) for digit in b"0123456789ABCDEFabcdef")
_LINE_ENDS: Final = "\u2028\u2029"
# As many as most texts have, garbage included.
_MOST_CHARACTERS: Final = 1 << 16


class Found(NamedTuple):
    """Where in a text a secret stands, in whatever spelling: from `start` to before `end`, or more widely."""

    start: int
    end: int
    secret: Secret


class _Form(NamedTuple):
    """A form of a secret that is looked for, without the bytes that were cut off its end."""

    secret: Secret
    cut: int = 0


def _keep(forms: dict[AnyStr, _Form], written: AnyStr, form: _Form) -> None:
    # One secret may be the beginning of another; as a whole it is looked for in more places.
    if written not in forms or form.cut < forms[written].cut:
        forms[written] = form


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
        written = bytes_of(secret.reveal())
        self._reach = max(self._reach, 16 * len(written) + 64)
        if len(secret.reveal()) < SHORTEST:
            self._short |= dict.fromkeys((written, written.replace(b" ", b"+")), _Form(secret))
            return
        for form in unlike_utf_16(secret.reveal()):
            self._bytes[_spaced(form)] = _Form(secret)
        for encoded in in_charsets(secret.reveal()):
            depth, forms = own_forms(encoded)
            self._depth = max(self._depth, _DEPTH + depth)
            for form in forms:
                self._look_for(form, secret)
                # A sign before it may make an escape of its beginning.
                begun = {sign + form for sign in (b"%", b"\\", b"=", b"&")}
                eaten = own_forms(*begun)[1] - begun
                # And with a digit between them, as in `=b0`.
                if form[:1] in _DIGITS:
                    eaten |= {bytes((16 * high + int(form[:1], 16),)) + form[1:] for high in range(16)}
                for each in eaten:
                    self._look_for(each, secret, is_exact=True)

    def _look_for(self, written: bytes, secret: Secret, *, is_exact: bool = False) -> None:
        # Its last sign may be the first one of an escape with what follows.
        for kept in {written, OPEN_END.sub(b"", written)}:
            form = _Form(secret, cut=len(written) - len(kept))
            folded = _folded(kept)
            if len(folded) >= SHORTEST and not is_exact:
                _keep(self._folded[folded[:SHORTEST]], folded, form)
            elif len(kept) >= SHORTEST_FORM:
                _keep(self._bytes, _spaced(kept), form)

    def find(self, text: str | bytes) -> list[Found]:
        """Return where secrets stand in `text`, in order; what overlaps is one."""
        if not self._secrets:
            return []
        data = bytes_of(text) if isinstance(text, str) else text
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
        waiting = deque((reading, 0) for reading in readings(View(data, same), self._reach))
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
                further = (each for made in decoded(view, self._reach) for each in readings(made, self._reach))
                waiting.extend((each, depth + 1) for each in further)

    def _in_view(self, view: View, depth: int) -> Iterator[tuple[int, int, _Form]]:
        if self._short and view.is_plain and depth <= 1:
            yield from _occurrences(view.data, self._short.items())
        if self._bytes:
            yield from _occurrences(_spaced(view.data), self._bytes.items())
        if not self._folded:
            return
        text = view.data.decode(*_UTF_8)
        folded = text.translate(_FOLDING)
        if len(self._folded) > _MANY:
            pieces = {folded[at : at + SHORTEST] for at in range(len(folded))}
            heads = [piece for piece in pieces if piece in self._folded]
        else:
            heads = list(self._folded)
        way_back: Trace | None = None
        for head in heads:
            for start, end, form in _occurrences(folded, self._folded[head].items()):
                # Only needed where there is something.
                way_back = way_back or between(
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


def _occurrences(text: AnyStr, forms: Iterable[tuple[AnyStr, _Form]]) -> Iterator[tuple[int, int, _Form]]:
    # A copy, as another thread may add a secret.
    for written, form in list(forms):
        at = text.find(written)
        while at >= 0:
            yield at, at + len(written), form
            at = text.find(written, at + len(written))


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
