"""Credentials read from the environment, or from the files it names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from daxko_auth.model.credentials import ApiCredentials, base_url_from_env, secrets_from_env, settings_in_env
from daxko_auth.model.errors import CredentialsError
from daxko_auth.model.secret import Secret

SET = {
    "DAXKO_USERNAME": "daxko_api_user",
    "DAXKO_PASSWORD": "d9a2652cf96d734661c10d5ff2f8061f",
    "DAXKO_REFRESH_TOKEN": "canary.refresh.token",
}
CREDENTIALS = ApiCredentials(*SET.values())


def without(*names: str) -> dict[str, str]:
    """Return the full environment without some names."""
    return {name: value for name, value in SET.items() if name not in names}


def test_the_three_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own environment is read when no other is given."""
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    assert ApiCredentials.from_env() == CREDENTIALS
    assert ApiCredentials.from_env(SET) == CREDENTIALS


def test_the_base_url_is_read_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a setting like the others, and none is fine."""
    assert base_url_from_env({"DAXKO_BASE_URL": "http://127.0.0.1:8700"}) == "http://127.0.0.1:8700"
    monkeypatch.delenv("DAXKO_BASE_URL", raising=False)
    assert base_url_from_env() is None


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
@pytest.mark.parametrize("beginning", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.shows_secrets("files")
def test_each_may_stand_in_a_file(tmp_path: Path, beginning: str, ending: str) -> None:
    """Container platforms mount secrets as files, and editors add a mark in front and a newline behind."""
    environ = {}
    for name, value in SET.items():
        file = tmp_path / name
        file.write_bytes(f"{beginning}{value}{ending}".encode())
        environ[f"{name}_FILE"] = str(file)
    assert ApiCredentials.from_env(environ) == CREDENTIALS
    assert ApiCredentials.from_env(without("DAXKO_PASSWORD") | {"DAXKO_PASSWORD_FILE": environ["DAXKO_PASSWORD_FILE"]})


@pytest.mark.parametrize("content", ["two\nlines\n", "\nleading", "trailing\n\n", "a\n ", " \n"])
def test_more_than_one_line_in_a_file_is_refused(tmp_path: Path, content: str) -> None:
    """Only the newline an editor adds is left out; anything else may be a wrong file."""
    file = tmp_path / "password"
    file.write_text(content)
    with pytest.raises(CredentialsError, match=r"^the DAXKO_PASSWORD_FILE file (holds a line break|is blank)"):
        ApiCredentials.from_env(without("DAXKO_PASSWORD") | {"DAXKO_PASSWORD_FILE": str(file)})


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ("directory", "Is a directory"), (b"\xff\xfe\x00", "not text in UTF-8")],
)
def test_a_file_that_cannot_be_read_is_named_by_its_setting(
    tmp_path: Path, content: bytes | str | None, reason: str
) -> None:
    """The path is not quoted: people put the secret itself there."""
    file = tmp_path / "canary-of-a-path"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        file.mkdir()
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(without("DAXKO_PASSWORD") | {"DAXKO_PASSWORD_FILE": str(file)})
    message = str(caught.value)
    assert message.startswith("DAXKO_PASSWORD_FILE is the path of a file that holds the value; it ")
    assert reason in message
    assert "canary" not in message
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", SET)
def test_a_setting_and_its_file_together_are_refused(name: str) -> None:
    """One of the two is stale, and nobody but the operator knows which."""
    with pytest.raises(CredentialsError, match=rf"^both {name} and {name}_FILE are set; unset one of them$"):
        ApiCredentials.from_env(SET | {f"{name}_FILE": "/run/secrets/daxko"})


@pytest.mark.parametrize("name", SET)
def test_each_mistake_is_named_by_its_variable(name: str) -> None:
    """The same checks as for arguments, in the words of whoever set the environment."""
    with pytest.raises(CredentialsError, match=rf"^{name} is blank\. "):
        ApiCredentials.from_env(SET | {name: "  "})
    with pytest.raises(CredentialsError, match=f"^{name} begins or ends with white space"):
        ApiCredentials.from_env(SET | {name: "value "})


def test_a_swap_is_named_by_both_variables() -> None:
    """The reader learns what is where, and where it belongs."""
    with pytest.raises(CredentialsError, match=r"^DAXKO_PASSWORD looks like a token.* belongs in DAXKO_REFRESH_TOKEN"):
        ApiCredentials.from_env(SET | {"DAXKO_PASSWORD": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"})
    with pytest.raises(CredentialsError, match=r"^DAXKO_REFRESH_TOKEN repeats DAXKO_USERNAME or DAXKO_PASSWORD"):
        ApiCredentials.from_env(SET | {"DAXKO_REFRESH_TOKEN": SET["DAXKO_PASSWORD"]})


@pytest.mark.parametrize(
    ("missing", "beginning"),
    [
        (("DAXKO_USERNAME",), "DAXKO_USERNAME is not set. "),
        (("DAXKO_PASSWORD", "DAXKO_REFRESH_TOKEN"), "DAXKO_PASSWORD and DAXKO_REFRESH_TOKEN are not set. "),
        (tuple(SET), "DAXKO_USERNAME and DAXKO_PASSWORD and DAXKO_REFRESH_TOKEN are not set. "),
    ],
)
def test_all_that_is_missing_is_named_at_once(missing: tuple[str, ...], beginning: str) -> None:
    """Nobody should have to start a program three times to learn three names."""
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(without(*missing) | {"PATH": "/bin", "DAXKO_BASE_URL": "https://api.daxko.com"})
    assert str(caught.value).startswith(beginning)
    assert "with _FILE to the path of a file that holds it" in str(caught.value)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("set_instead", "meant"),
    [
        ("DAXKO_CLIENT_ID", "DAXKO_USERNAME"),
        ("DAXKO_CLIENT_SECRET", "DAXKO_PASSWORD"),
        ("DAXKO_CLIENT_SECRET_FILE", "DAXKO_PASSWORD"),
        ("DAXKO_TOKEN", "DAXKO_REFRESH_TOKEN"),
        ("DAXKO_ACCESS_TOKEN", "DAXKO_REFRESH_TOKEN"),
        ("DAXKO_REFERESH_TOKEN", "DAXKO_REFRESH_TOKEN"),
        ("DAXKO_REFRESHTOKEN", "DAXKO_REFRESH_TOKEN"),
        ("DAXKO_REFRESH_TOKEN_FIL", "DAXKO_REFRESH_TOKEN"),
        ("DAXKO_USER", "DAXKO_USERNAME"),
        ("DAXKO_PASS", "DAXKO_PASSWORD"),
        ("DAXKO_API_PASSWORD", "DAXKO_PASSWORD"),
        ("daxko_password", "DAXKO_PASSWORD"),
        ("Daxko_Username_File", "DAXKO_USERNAME"),
    ],
)
def test_a_look_alike_of_what_is_missing_is_named(set_instead: str, meant: str) -> None:
    """Two public Drupal modules ship the setting `referesh_token`; OAuth's own names mislead the rest."""
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(without(meant) | {set_instead: "canary"})
    assert f"{set_instead} is set; did you mean {meant}?" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", ["DAXKO_CLIENT_ID", "DAXKO_STORE", "PASSWORD", "MY_TOKEN"])
def test_what_resembles_nothing_missing_is_not_named(name: str) -> None:
    """A hint that misleads is worse than none."""
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(without("DAXKO_PASSWORD") | {name: "x"})
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["DAXKO_BASEURL", "DAXKO_URL", "DAXKO_BASE_URL_FILE", "daxko_base_url", "DAXKO_BASE_URI"]
)
def test_a_misspelt_base_url_is_not_passed_over(name: str) -> None:
    """The default is the real Daxko: a test's credentials would be sent there, or a sandbox's."""
    with pytest.raises(CredentialsError, match=f"{name} is set; did you mean DAXKO_BASE_URL"):
        base_url_from_env({name: "http://127.0.0.1:8700"})


def test_a_base_url_beside_a_look_alike_is_taken() -> None:
    """Who sets the right one knows what the other is for."""
    assert base_url_from_env({"DAXKO_BASE_URL": "https://x.example", "DAXKO_URL": "y"}) == "https://x.example"
    assert base_url_from_env({"DAXKO_USERNAME": "u", "DAXKO_WEBHOOK": "y"}) is None


@pytest.mark.parametrize("name", [*(f"{name}_FILE" for name in SET), "DAXKO_CLIENT_ID"])
@pytest.mark.parametrize("blank", ["", " \t"])
def test_a_blank_setting_beside_what_is_needed_counts_as_not_set(name: str, blank: str) -> None:
    """A compose file passes on what is not set outside as blank."""
    assert ApiCredentials.from_env(SET | {name: blank}) == CREDENTIALS
    assert base_url_from_env({"DAXKO_BASE_URL": blank}) is None
    assert settings_in_env(SET | {name: blank, "DAXKO_BASE_URL": blank}) == list(SET)
    assert secrets_from_env({"DAXKO_MEMBER_PASSWORD": blank, "DAXKO_MEMBER_PASSWORD_FILE": blank}) == {}


@pytest.mark.parametrize(
    ("environ", "beginning"),
    [
        (without("DAXKO_PASSWORD") | {"DAXKO_PASSWORD_FILE": ""}, "DAXKO_PASSWORD_FILE is blank. Daxko issues"),
        (SET | {"DAXKO_PASSWORD": "", "DAXKO_PASSWORD_FILE": " "}, "DAXKO_PASSWORD and DAXKO_PASSWORD_FILE are blank."),
        (without("DAXKO_USERNAME") | {"DAXKO_PASSWORD": ""}, "DAXKO_USERNAME is not set. DAXKO_PASSWORD is blank."),
    ],
)
def test_what_is_needed_and_blank_is_said_to_be_blank(environ: dict[str, str], beginning: str) -> None:
    """Whoever is told that it is not set sees that it is."""
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(environ)
    assert str(caught.value).startswith(beginning)


def test_a_file_that_is_empty_is_named_by_its_setting(tmp_path: Path) -> None:
    """The setting itself is fine, and its plain form is not set at all."""
    (tmp_path / "password").touch()
    with pytest.raises(CredentialsError, match=r"^the DAXKO_PASSWORD_FILE file is blank"):
        ApiCredentials.from_env(without("DAXKO_PASSWORD") | {"DAXKO_PASSWORD_FILE": str(tmp_path / "password")})


def test_what_is_missing_is_said_with_what_to_do() -> None:
    """The whole sentence."""
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(without("DAXKO_PASSWORD"))
    assert str(caught.value) == (
        "DAXKO_PASSWORD is not set. Daxko issues the username, the password and the refresh token of your API account; "
        "set each, or its name with _FILE to the path of a file that holds it"
    )


def test_a_file_that_cannot_be_read_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the words of the system, or by the kind of the error where it has none; and what to do."""
    expected = (
        "DAXKO_PASSWORD_FILE is the path of a file that holds the value; it cannot be read: {}. Correct the path, or "
        "let this process read the file"
    )
    environ = without("DAXKO_PASSWORD") | {"DAXKO_PASSWORD_FILE": str(tmp_path / "missing")}
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(environ)
    assert str(caught.value) == expected.format("No such file or directory")

    def fail(*_: object) -> str:
        raise TimeoutError

    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(CredentialsError) as caught:
        ApiCredentials.from_env(environ)
    assert str(caught.value) == expected.format("TimeoutError")


@pytest.mark.shows_secrets("files")
def test_secrets_alone_are_read_where_they_are_set(tmp_path: Path) -> None:
    """Whoever looks for them in recordings needs no whole account, and the member's password as well."""
    kept = tmp_path / "member-password"
    kept.write_text("of-a-member\n", "utf-8")
    environ = {"DAXKO_PASSWORD": "a-password", "DAXKO_REFRESH_TOKEN": "", "DAXKO_MEMBER_PASSWORD_FILE": str(kept)}

    found = secrets_from_env(environ)

    assert found == {"DAXKO_PASSWORD": Secret("a-password"), "DAXKO_MEMBER_PASSWORD": Secret("of-a-member")}
    assert secrets_from_env({"DAXKO_USERNAME": "a-name"}) == {}
    with pytest.raises(CredentialsError, match="both DAXKO_PASSWORD and DAXKO_PASSWORD_FILE"):
        secrets_from_env({"DAXKO_PASSWORD": "a-password", "DAXKO_PASSWORD_FILE": str(kept)})


@pytest.mark.parametrize("read", [ApiCredentials.from_env, base_url_from_env, secrets_from_env])
@pytest.mark.parametrize("environ", [".env", b".env", 5, ["DAXKO_USERNAME"], {b"DAXKO_USERNAME": b"ann"}])
def test_what_is_no_environment_is_said_to_be_that(read: Callable[[Any], object], environ: Any) -> None:
    """The path of a file of settings is the likeliest, and os.environb the next."""
    with pytest.raises(TypeError, match=r"^environ is a mapping of s.*, such as os\.environ, not"):
        read(environ)


@pytest.mark.parametrize("read", [ApiCredentials.from_env, secrets_from_env])
@pytest.mark.parametrize("name", ["DAXKO_PASSWORD", "DAXKO_PASSWORD_FILE"])
def test_a_setting_that_is_no_string_is_named(read: Callable[[Any], object], name: str) -> None:
    """python-dotenv gives None for a line without a value."""
    with pytest.raises(CredentialsError, match=rf"^{name} is a string, not NoneType; pass one, or leave {name} out$"):
        read({name: None})


def test_a_setting_of_somebody_else_may_be_anything() -> None:
    """What is passed is often the whole file of a program's settings."""
    settings = {"DAXKO_USERNAME": "ann", "DAXKO_PASSWORD": "a-password", "DAXKO_REFRESH_TOKEN": "a.refresh.token"}
    assert ApiCredentials.from_env(cast("Any", {**settings, "DEBUG": None, "PORT": 8000})).username == "ann"
