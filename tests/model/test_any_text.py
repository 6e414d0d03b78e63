"""Any text, bytes and numbers where facts are made: a value, or a refusal that holds no part of what was given."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daxko_auth.model.credentials import ApiCredentials, base_url_from_env
from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.secret import Secret

SETTINGS = ("DAXKO_USERNAME", "DAXKO_PASSWORD", "DAXKO_REFRESH_TOKEN")
# No three letters of it in a row stand in any message.
CANARY = "qzX7vKwJ4hYq"
PIECES = {CANARY[start : start + 3] for start in range(len(CANARY) - 2)}

# Halves of letters too: an environment is bytes, and what is no UTF-8 in it arrives like that.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
TROUBLE = st.sampled_from(
    ["", " ", "\n", "\0", "\ufeff", "\udc80", "Bearer ", "eyJ", "eyJ.e30.", "...", "client:", '"']
)
BEARER = st.text("Az09._~+/-", max_size=20)
AROUND = st.just("") | TROUBLE | BEARER | ANY_TEXT
# With the canary in it, so that a message that quotes any of it shows.
GIVEN = st.builds("{}{}{}".format, AROUND, st.just(CANARY), AROUND) | BEARER.map(CANARY.__add__)
CONTENTS = st.builds("{}{}".format, GIVEN, st.sampled_from(["", "\n", "\r\n", " \n", "\n\n"])).map(
    lambda text: text.encode("utf-8", "surrogatepass")
) | st.builds(lambda before, after: before + CANARY.encode() + after, st.binary(), st.binary())


def taken(make: Callable[[], ApiCredentials | ClientScope | str | None]) -> object:
    """Return what is made, or None where it was refused without telling anything of what was given."""
    try:
        return make()
    except CredentialsError as error:
        refusal = error
    shown = f"{refusal} {refusal!r} {refusal.args!r} {vars(refusal)!r}"
    assert not any(piece in shown for piece in PIECES), shown
    assert refusal.__cause__ is refusal.__context__ is None
    return None


def others(name: str) -> dict[str, str]:
    """Return an environment where everything but one setting is right."""
    return {other: f"right-{number}" for number, other in enumerate(SETTINGS) if other != name}


def check_sendable(credentials: ApiCredentials) -> None:
    """Assert that each of the three arrives as it is, and that none ends a header or a part of a form early."""
    username, password = credentials.username, credentials.password.reveal()
    for text in (username, password):
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text)
        assert text.encode().decode() == text
        assert text.strip() == text != ""
    assert re.fullmatch(r"[\x21-\x7e]+", credentials.refresh_token.reveal(), re.ASCII)


@given(st.tuples(GIVEN, GIVEN, GIVEN), st.sets(st.sampled_from([0, 1, 2])))
def test_any_three_texts_are_credentials_or_a_refusal_that_quotes_none(texts: tuple[str, ...], right: set[int]) -> None:
    """What is taken can be sent as it is; what is refused may be a secret in the wrong place."""
    username, password, refresh_token = (f"right-{n}" if n in right else text for n, text in enumerate(texts))

    credentials = taken(lambda: ApiCredentials(username, password, refresh_token))

    if isinstance(credentials, ApiCredentials):
        assert credentials.username == username
        assert credentials.password == Secret(password)
        assert credentials.refresh_token == Secret(refresh_token)
        check_sendable(credentials)


@given(st.text("Az09._~+/-", min_size=1).filter(lambda text: "..." not in text), st.text("äß€🔑 ;&=", min_size=1))
def test_any_password_and_bearer_of_the_right_letters_are_taken(refresh_token: str, word: str) -> None:
    """Checks that refuse what Daxko issues would be worse than none."""
    password = f"<{word}>"

    credentials = ApiCredentials(word.strip() or "u", password, refresh_token)

    assert credentials.password.reveal() == password
    assert credentials.refresh_token.reveal() == refresh_token


@given(st.none() | st.booleans() | st.integers() | st.binary() | st.lists(GIVEN), st.sampled_from([0, 1, 2]))
def test_what_is_no_text_is_refused_by_its_type(value: object, place: int) -> None:
    """A vault gives bytes, a parser of settings numbers."""
    given_three: list[object] = ["u", "p", "t"]
    given_three[place] = value

    assert taken(lambda: ApiCredentials(*given_three)) is None  # type: ignore[arg-type]


@pytest.mark.shows_secrets("files")
@given(content=CONTENTS, name=st.sampled_from(SETTINGS))
def test_a_file_of_any_bytes_is_a_credential_or_a_refusal_that_quotes_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    """A mounted secret may be binary, in another encoding, or another file altogether."""
    file = tmp_path_factory.getbasetemp() / "any-bytes"
    file.write_bytes(content)

    credentials = taken(lambda: ApiCredentials.from_env(others(name) | {f"{name}_FILE": str(file)}))

    if isinstance(credentials, ApiCredentials):
        check_sendable(credentials)
        read = (credentials.username, credentials.password.reveal(), credentials.refresh_token.reveal())
        kept = content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").removesuffix(b"\r")
        assert read[SETTINGS.index(name)].encode() == kept


@given(path=GIVEN, name=st.sampled_from(SETTINGS))
def test_any_path_is_read_or_refused_without_being_quoted(path: str, name: str) -> None:
    """People put the secret itself where its path belongs."""
    assert taken(lambda: ApiCredentials.from_env(others(name) | {f"{name}_FILE": path})) is None


NAMES = st.sampled_from(
    [*SETTINGS, *(f"{name}_FILE" for name in SETTINGS), "DAXKO_BASE_URL", "DAXKO_TOKEN", "DAXKO_PASWORD", "DAXKO_URL"]
)


@given(st.dictionaries(NAMES | ANY_TEXT, GIVEN, max_size=6))
def test_any_environment_is_settings_or_a_refusal_that_quotes_no_value(environ: dict[str, str]) -> None:
    """It belongs to the whole machine, and holds the secrets of others too."""
    credentials = taken(lambda: ApiCredentials.from_env(environ))
    base_url = taken(lambda: base_url_from_env(environ))

    assert credentials is None or set(SETTINGS) <= set(environ)
    assert base_url is None or base_url == environ["DAXKO_BASE_URL"]


@given(st.integers(1, 10**18 - 1))
def test_every_number_of_a_client_is_one_scope_however_it_is_written(number: int) -> None:
    """Else one customer would have two slots, and two tokens."""
    scopes = {ClientScope(number), ClientScope(str(number)), ClientScope(f"client:{number}")}

    (scope,) = scopes
    assert scope.wire == f"client:{number}"
    assert ClientScope(scope.wire) == scope


@given(
    GIVEN
    | ANY_TEXT
    | st.integers()
    | st.text("0123456789\u0669\uff19:-_ client", max_size=25)
    | st.text("19\u0669\uff19", max_size=4)
    | st.floats()
    | st.binary()
    | st.none()
    | st.booleans()
)
def test_anything_else_is_a_scope_of_the_wire_or_a_refusal_that_does_not_quote_it(written: object) -> None:
    """What is taken goes into a form as it is."""
    scope = taken(lambda: ClientScope(written))  # type: ignore[arg-type]

    if isinstance(scope, ClientScope):
        assert re.fullmatch(r"client:[1-9][0-9]{0,17}", scope.wire, re.ASCII)
        assert str(written) in {scope.wire, scope.wire.removeprefix("client:")}


@given(GIVEN, GIVEN)
@example(f"{CANARY}\udc80", f"{CANARY}\udc81")
def test_any_secret_shows_a_fingerprint_and_no_part_of_itself(text: str, other: str) -> None:
    """Equal ones the same, so that one can be followed through a log."""
    secret = Secret(text)

    shown = f"{secret} {secret!r} {[secret]} {secret:>40}"
    assert not any(piece in shown for piece in PIECES)
    assert repr(secret) == f"<secret {secret.fingerprint}>"
    assert re.fullmatch(r"[0-9a-f]{8}", secret.fingerprint)
    assert secret.reveal() == text
    assert (secret == Secret(other)) is (text == other)
    assert (secret.fingerprint == Secret(other).fingerprint) is (text == other)


def test_the_canary_is_seen_where_it_is_quoted(tmp_path: Path) -> None:
    """A check that cannot fail shows nothing."""

    def refuse() -> None:
        raise CredentialsError(f"{tmp_path} does not hold {CANARY[4:7]}")

    with pytest.raises(AssertionError, match=CANARY[4:7]):
        taken(refuse)
