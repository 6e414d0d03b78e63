"""Text from outside: a secret is found however it is spelt, and what is shown is short and printable."""

import html
import json
import secrets
import unicodedata
from urllib.parse import quote as percent_encoded

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from model.spellings import SPELLINGS

from daxko_auth.model import masking
from daxko_auth.model.masking import KnownSecrets, printable, quote
from daxko_auth.model.secret import Secret

PASSWORD = Secret("hunter2 & more")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("It is wrong.", "It is wrong."),
        ("the password hunter2 & more is wrong", "the password *** is wrong"),
        ("hunter2 & morehunter2 & more", "******"),
        (f"token {JWT} is wrong", "token *** is wrong"),
        (f"Bearer {JWT}", "Bearer ***"),
        ("eyJhbGciOiJIUzI1NiIs", "***"),
        (f"key {'a1' * 20} ends", "key *** ends"),
        (f"key {'A+/_-' * 8}==", "key ***"),
        ("d9a2652cf96d734661c10d5ff2f8061f", "***"),
        ("two\nlines\r\n\tand\x00more\x1b[31m", "two lines and more [31m"),
        ("line\u2028line\u2029line\x85line", "line line line line"),
        ("evil\u202eterces", "evil terces"),
        ("bom\ufeff zero\u200bwidth", "bom zero width"),
        ("half \ud800 a letter", "half a letter"),
        ("Größe ☃ 🔑", "Größe ☃ 🔑"),
        ("  blank  ", "blank"),
    ],
)
def test_words_are_masked_and_made_printable(text: str, quoted: str) -> None:
    """A line break would forge a log line; half a letter would stop the log."""
    assert quote(text, [PASSWORD]) == quoted
    quoted.encode()


@pytest.mark.parametrize(
    "text", [None, "", " ", "\n\x00", 7, True, ["invalid_grant"], {"error": "x"}, b"invalid_grant"]
)
def test_what_is_no_text_is_nothing(text: object) -> None:
    """`error` may be an object, or a number; neither is worth repeating."""
    assert quote(text, [PASSWORD]) is None


def test_long_texts_are_cut_after_masking() -> None:
    """Cutting first could leave half a secret that no longer looks like one."""
    assert quote("no " * 1000, []) == ("no " * 66)[:197] + "..."
    assert quote("a b", [], limit=3) == "a b"
    assert quote("a b c d e", [], limit=6) == "a b..."
    assert "hunter" not in (quote("x " * 30 + PASSWORD.reveal(), [PASSWORD], limit=66) or "hunter")


def test_a_secret_that_holds_another_is_masked_whole() -> None:
    """Masked in the other order, the rest of the longer one would stay behind."""
    short, long = Secret("abc"), Secret("12-abc-34")
    assert quote("it was 12-abc-34 or abc", [short, long]) == "it was *** or ***"
    assert quote("it was 12-abc-34 or abc", [long, short]) == "it was *** or ***"


@pytest.mark.parametrize("between", [" ", "\n", "\t \r\n", "\x00\x01", "\u2028", "  "])
def test_a_secret_that_was_broken_into_lines_is_masked(between: str) -> None:
    """A page wraps its lines; put together again for our message, they would be the secret."""
    assert quote(f"no: c4nary{between}wo/rd.", [Secret("c4nary wo/rd")]) == "no: ***."
    assert quote("no: c4nary wo/rd.", [Secret(f" c4nary{between}wo/rd")]) == "no: ***."


def test_a_blank_secret_masks_nothing() -> None:
    """A member without a password must not turn a message into asterisks."""
    assert quote("No member has this name.", [Secret("")]) == "No member has this name."


@pytest.mark.parametrize(
    "code",
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_token",
        "insufficient_scope",
    ],
)
@pytest.mark.parametrize("password", ["invalid", "grant", "_", "t", "invalid_grant"])
def test_a_code_of_the_rfcs_stays_whole_whatever_the_password(code: str, password: str) -> None:
    """Programs compare it; and asterisks in a known word would spell the password out."""
    assert quote(code, [Secret(password)]) == code


@given(st.text(), st.text(min_size=1), st.text())
def test_no_text_raises_and_no_secret_stays(before: str, secret: str, after: str) -> None:
    """Whatever a server wraps around it."""
    quoted = quote(f"{before}{secret}{after}", [Secret(secret)])
    json.dumps(quoted).encode("ascii")
    if quoted is not None:
        assert len(quoted) <= 200
        assert quoted.isprintable()
        assert len(secret) < 4 or secret not in quoted or secret in "***..."


@pytest.mark.parametrize("shown", ["a b/c+d", "a%20b%2Fc%2Bd", "a+b%2Fc%2Bd"])
def test_a_secret_is_masked_in_every_spelling_of_a_url(shown: str) -> None:
    """As in a path, with its slash encoded too, and as in a form."""
    assert quote(f"wrong: {shown}!", [Secret("a b/c+d")]) == "wrong: ***!"


# Any text, and those that a decoder takes for its own: signs of each spelling, and digits that go on with one.
ANY_SECRET = st.one_of(
    st.text(min_size=8, max_size=60),
    st.text("abc019+/=%&#;xun \"'<\u00e4\u20ac\u0416\U0001f600", min_size=8, max_size=40),
    st.text("0123456789abcdef", min_size=8, max_size=64),
)
# Not a lone percent sign: what follows may be an escape with it, and in base64 nobody can tell.
BEFORE = st.one_of(st.text("ab =&:/\n\u00e4"), st.sampled_from(["token=", '{"pass": "', "https://x.test/?q=", "="]))
AFTER = st.one_of(st.text("ab =%&:/\n\u00e4"), st.sampled_from(['"}', "&more=1", "=\n41", "41", "n", " is wrong."]))


@given(ANY_SECRET, st.lists(st.sampled_from(sorted(SPELLINGS)), max_size=3), BEFORE, AFTER)
def test_a_secret_is_found_under_any_three_spellings(secret: str, chain: list[str], before: str, after: str) -> None:
    """A gateway puts JSON into HTML, and a log of it into base64; nobody lists all of that."""
    # UTF-16 is recognized by ASCII, of which what was misread twice may have none.
    assume(sum("read as" in name for name in chain) < 2 or not any("UTF-16" in name for name in chain))
    spelt = secret
    for name in chain:
        spelt = SPELLINGS[name](spelt)
    found = KnownSecrets([Secret(secret)]).find(before + spelt + after)

    assert any(each.start < len(before + spelt) and each.end > len(before) for each in found)
    assert all(0 <= each.start < each.end <= len(before + spelt + after) for each in found)


@pytest.mark.parametrize("secret", ["deadbeef/0", "amp;name&", "nathan 12=", "u0041 xyz/%", 'b"c34567\\'])
@pytest.mark.parametrize("spelling", ["percent", "HTML", "JSON", "JSON, with its slashes"])
def test_signs_around_it_do_not_hide_a_secret(secret: str, spelling: str) -> None:
    """With a part of it they may be an escape, which is then another character."""
    known, spelt = KnownSecrets([Secret(secret)]), SPELLINGS[spelling](secret)
    for before in ("%", "\\", "=", "&", "%25", "pw=", r'"\\'):
        for after in ("", "41", "n", "=\n41", "amp;", "u0041"):
            found = known.find(before + spelt + after)

            assert found[0].start <= len(before), (before, after)
            assert found[-1].end >= len(before + spelt), (before, after)


@pytest.mark.parametrize("before", ["=b", "%b", "=B", "%25b"])
def test_a_digit_before_it_does_not_hide_a_secret_of_digits(before: str) -> None:
    """With its first one it may be an escape, where the rest is spelt in another way."""
    found = KnownSecrets([Secret("0000000 /")]).find(f"{before}0000000%20=2F")

    assert found[0].start <= len(before)
    assert found[-1].end == len(f"{before}0000000%20=2F")


def test_a_secret_between_escapes_that_are_far_apart_is_found() -> None:
    """Of what lies between them only as much is read again as a secret can reach."""
    far = "x" * 5_000

    assert KnownSecrets([Secret(WORD)]).mask(f"%41{far}pass%20w%C3%B6rd/7{far}%41") == f"%41{far}***{far}%41"


@pytest.mark.parametrize("order", [1, -1])
def test_a_secret_that_begins_as_another_one_is_found(order: int) -> None:
    """The longer one, with its last sign eaten, is spelt like the shorter one."""
    known = KnownSecrets([Secret("password1="), Secret("password1")][::order])

    assert known.mask("password1 password1= password1%3D4") == "*** *** ***4"


def folded(text: str) -> str:
    """Return what two texts that look alike have in common."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in plain if char.isprintable() and char not in " +")


@given(ANY_SECRET, st.text())
def test_a_text_without_the_secret_is_untouched(secret: str, text: str) -> None:
    """A mask where none belongs makes a message useless, and a cassette another one."""
    assume(secret not in text and not (folded(secret) and folded(secret) in folded(text)))

    assert KnownSecrets([Secret(secret)]).mask(text) == text


@pytest.mark.parametrize(
    "near", ["athan-1234567", "nathan-123456", "nathan-1234568", "nathan-%31%32%33", "nathan--1234567"]
)
def test_what_only_resembles_the_secret_is_untouched(near: str) -> None:
    """All but one character of it is another text."""
    assert KnownSecrets([Secret("nathan-1234567")]).mask(f"it was {near}!") == f"it was {near}!"


WORD = "pass w\u00f6rd/7"
PLACES = [
    ("it was pass w\u00f6rd/7.", "it was ***."),
    ("it was PASS W\u00d6RD/7.", "it was ***."),
    ("it was pass wo\u0308rd/7.", "it was ***."),
    ("it was \uff50\uff41ss w\u00f6rd/7.", "it was ***."),
    ("it was pa\u200bss w\u00f6rd/\u00ad7.", "it was ***."),
    ("it was pass\r\n    w\u00f6rd/7.", "it was ***."),
    ("?q=pass+w%C3%B6rd%2f7&r=1", "?q=***&r=1"),
    ("?q=pass%20w%F6rd/7&r=1", "?q=***&r=1"),
    ("?q=pass%u0020w%u00f6rd/7&r=1", "?q=***&r=1"),
    (r"""b'pass w\xc3\xb6rd/7\''""", "b'***\\''"),
    ("pass&nbsp;w&ouml;rd&sol;7 &amp; &unknown;", "*** &amp; &unknown;"),
    ("pass w&#246;rd/7 &#99999999;", "*** &#99999999;"),
    ("pass&nbspw&ouml;rd/7", "***"),
    ("pass w&oumlrd/7, M&#252ller", "***, M&#252ller"),
    ("?a=1&pass&#32w&#xf6;rd/7&copy=1", "?a=1&***&copy=1"),
    ("?pass%20w&oumlrd%2F7&ltx", "?***&ltx"),
    ("pass w\u00c3\u0192\u00c2\u00b6rd/7", "***"),
    ("pass w&Atilde;&para;rd/7", "***"),
    ("pass%20w%C3%83%C2%B6rd/7.", "***."),
    (r"pass w\\u00c3\\u00b6rd/7.", "***."),
    ("pass w=C3=\r\n=B6rd/7=2E", "***=2E"),
    ("pass w\u00c3\u00b6rd/7", "***"),
    ("Basic dTpwYXNzIHf2cmQvNz8h", "Basic dT***8h"),
]


@pytest.mark.parametrize(("text", "masked"), PLACES, ids=range(len(PLACES)))
def test_only_what_spells_the_secret_is_masked(text: str, masked: str) -> None:
    """What stands around it is what an operator needs."""
    assert KnownSecrets([Secret(WORD)]).mask(text) == masked


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_bytes_are_masked_in_any_charset(charset: str) -> None:
    """A body says its charset or does not, and may be wrong about it."""
    masked = KnownSecrets([Secret(WORD)]).mask_bytes(f"\u00e4: {WORD} and {html.escape(WORD)}".encode(charset))

    assert WORD not in masked.decode(charset, "replace")
    if charset == "utf-16" or not charset.startswith("utf-16"):
        assert masked.decode(charset) == "\u00e4: *** and ***"


def test_bytes_in_utf_16_without_a_letter_of_ascii_are_masked() -> None:
    """Nothing in them tells UTF-16 from anything else."""
    word = "\u0436\u0438\u0432\u0435\u0435\u0432\u0441\u0435\u0445"

    known = KnownSecrets([Secret(word)])
    marked = b"\xfe\xff" + f"{word}.".encode("utf-16-be")

    assert known.mask_bytes(word.encode("utf-16-be")) == b"***"
    assert known.mask_bytes(marked).decode("utf-16") == "***."
    assert known.mask_bytes(b"\xff\xfe\x00" + word.encode()) == b"\xff\xfe\x00***", "the mark is wrong"


@pytest.mark.parametrize("charset", ["latin-1", "cp1252"])
def test_what_was_misread_and_has_no_letter_of_ascii_is_masked_in_utf_16(charset: str) -> None:
    """A server that takes UTF-8 for something else may write what it read in yet another charset."""
    word = "\u00e4\u00f6" * 4
    misread = word.encode().decode(charset).encode("utf-16-le")

    assert KnownSecrets([Secret(word)]).mask_bytes(b"\n" + misread) == b"\n***"


def test_half_a_character_is_masked_as_a_whole_one() -> None:
    """What was put in its place would be no text otherwise."""
    blanks = "\n" * 7

    assert KnownSecrets([Secret(f"{blanks}\u00e4")]).mask(f"a{blanks}\u4e00b") == "a***b"
    assert KnownSecrets([Secret(f"\u00a4{blanks}")]).mask(f"a\u00e4{blanks}b") == "a***b"
    assert KnownSecrets([Secret("password\U0001f600")]).mask("a password\ud83d\ude00.") == "a ***."


def test_a_secret_of_signs_is_found_as_it_is() -> None:
    """Without its signs little of it is left, which may stand in any text."""
    assert KnownSecrets([Secret("a%%%%%%%")]).mask("a%%%%%%% a%25%25%25%25%25%25%25 a") == "*** *** a"
    assert KnownSecrets([Secret("%41%42%43")]).mask("%41%42%43 ABC %2541%2542%2543") == "*** ABC ***"


def test_each_secret_has_a_mask_of_its_own() -> None:
    """A cassette has a placeholder for each."""
    known = {Secret("first secret"): "<first>", Secret("second secret"): "<second>", Secret("pin"): "<pin>"}

    masked = KnownSecrets(known).mask("second%20secret, first+secret; pin%20", known.__getitem__)

    assert masked == "<second>, <first>; <pin>%20"


def test_places_are_those_in_the_text() -> None:
    """A scanner says where; and a character is never cut in two."""
    known = KnownSecrets([Secret("first secret")])

    assert [(each.start, each.end) for each in known.find("\U0001f511\u00e4 first%20secret")] == [(3, 17)]
    assert [(each.start, each.end) for each in known.find("\u00e4 first secret".encode())] == [(3, 15)]
    assert "first" not in repr(known.find("first secret")) + repr(known)


def test_thousands_of_secrets_are_looked_for_at_once() -> None:
    """A recording meets a new token with each scope; blank ones and those already known add nothing."""
    known = KnownSecrets([Secret("")])
    assert known.find("anything") == []
    values = [secrets.token_urlsafe(30) for _ in range(500)]
    for value in [*values, *values]:
        known.add(Secret(value))
    text = " ".join(f"{percent_encoded(value)}, " for value in values[::100])

    assert known.mask(text) == " ".join(["***, "] * 5)
    assert known.mask("nothing here") == "nothing here"


HOSTILE = [
    "%25",
    "&amp;",
    "=3D",
    "=\n",
    "=",
    "\\",
    "\\n",
    "A",
    "QUJD",
    "abcdefghijk ",
    "%41\\u0041&#65;=41QUJDREVGR0hJSktM ",
    "\u00c3\u00b6",
    "\u00e2\u20ac\u2122",
    "\u00c3\u0192\u00c2\u00b6%41",
    "&lt",
    "&#38lt",
    "&not",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_texts_are_looked_through_in_bounded_work(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read of a text grows with its length and no faster, whatever it is made of."""
    read: list[int] = []
    look = KnownSecrets._in_view
    monkeypatch.setattr(
        KnownSecrets, "_in_view", lambda known, view, depth: read.append(len(view.data)) or look(known, view, depth)
    )

    KnownSecrets([Secret("hunter2 & more")]).find(piece * (60_000 // len(piece)))

    assert sum(read) < 60_000 * 16


def test_what_cannot_be_looked_through_is_masked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who nests deeply enough must not get a secret past the mask."""
    monkeypatch.setattr(masking, "_LARGEST_VIEWS", 1)
    monkeypatch.setattr(masking, "_VIEWS_OF_ANY", 0)

    assert KnownSecrets([Secret("hunter2 & more")]).mask("%2541\\u0041 &amp; more") == "***"


def test_characters_beyond_the_usual_are_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server chooses which, and there are a million."""
    monkeypatch.setattr(masking, "_MOST_CHARACTERS", 0)
    before = len(masking._SHOWN)

    assert printable("\U000f1234") == "\\U000f1234"
    assert len(masking._SHOWN) == before


@pytest.mark.parametrize("secret", ["pin", "a&b", "1234567"])
def test_a_short_secret_is_masked_as_it_is_and_in_simple_spellings(secret: str) -> None:
    """Members choose their passwords; in base64 a short one would be found by chance."""
    known = KnownSecrets([Secret(secret)])

    assert known.mask(f"it was {secret}!") == "it was ***!"
    assert known.mask(f"it was {percent_encoded(secret)}, {html.escape(secret)}, {json.dumps(secret)}") == (
        'it was ***, ***, "***"'
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e4 \u2603 \U0001f511 \u2764\ufe0f", "plain \u00e4 \u2603 \U0001f511 \u2764\ufe0f"),
        ("\x1b]0;owned\x07\x1b[31m", r"\x1b]0;owned\x07\x1b[31m"),
        ("\x9b31m \x85 \x7f \x00", r"\x9b31m \x85 \x7f \x00"),
        ("one\r\ntwo\rthree\u2028four\tfive", r"one\r\ntwo\rthree\u2028four\tfive"),
        ("evil\u202eterces \u2066x\u2069 \u061c", r"evil\u202eterces \u2066x\u2069 \u061c"),
        (
            "zero\u200bwidth \ufeff\u00ad\u2060 \u3164\u034f\ufe00",
            r"zero\u200bwidth \ufeff\xad\u2060 \u3164\u034f\ufe00",
        ),
        ("tag \U000e0041 \U000e0101", r"tag \U000e0041 \U000e0101"),
        ("half \ud83d", r"half \ud83d"),
        ("blank\u00a0of\u2003another width", "blank of another width"),
        ("private \ue000", r"private \ue000"),
    ],
)
def test_what_would_act_or_is_not_seen_is_shown_by_its_number(text: str, shown: str) -> None:
    """A title, a clipboard, a line that was never logged: a terminal and a log do what they are told."""
    assert printable(text) == shown
    assert printable(shown) == shown


def test_lines_are_kept_where_a_body_has_them() -> None:
    """Only real ones: a lone carriage return writes over what stands there."""
    assert printable("a\r\n\tb\nc\rd\x1b\u2029", keep_lines=True) == "a\n\tb\nc\\rd\\x1b\\u2029"


@pytest.mark.parametrize(
    "word",
    ["123e4567-e89b-12d3-a456-426614174000", "https://docs.test/errors", "unsupported_grant_type", "1234567890"],
)
def test_names_numbers_and_addresses_stay(word: str) -> None:
    """An operator searches for them, and gives them to the vendor."""
    assert quote(f"See {word}.", []) == f"See {word}."
