"""
scan-cassettes: what it finds in cassettes of any origin, what it lets be, and how it says so.
"""

import base64
import gzip
import json
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from daxko_auth import CredentialsError, Secret
from daxko_auth.cli.command_line import app
from daxko_auth.testing.scan import leaks, scan

CANARY = "canary-of-a-secret"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
OPAQUE = "d9a2652cf96d734661c10d5ff2f8061f"


def cassette(body: object = "", *, headers: dict[str, list[str]] | None = None, uri: str = "https://x.example/") -> str:
    """Write a cassette of one exchange as vcrpy does."""
    asked = {"method": "POST", "uri": uri, "body": "", "headers": headers or {}}
    answered = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": body}}
    return yaml.dump({"version": 1, "interactions": [{"request": asked, "response": answered}]})


def run(*paths: Path | str, **settings: str) -> tuple[int, str]:
    """Run the command; return its exit status and what it printed."""
    done = CliRunner().invoke(app, ["scan-cassettes", *map(str, paths)], env={"COLUMNS": "80", **settings})
    return done.exit_code, done.output


@pytest.mark.shows_secrets("files")
def test_each_finding_is_a_line_that_says_where_and_what_kind(tmp_path: Path) -> None:
    """Whoever reads the build's log has to find the place, and must not find the secret."""
    (tmp_path / "a.yaml").write_text(cassette(f"it is {CANARY}", headers={"Authorization": ["Bearer abc"]}), "utf-8")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.json").write_text(json.dumps({"interactions": [{}, {"request": {"uri": JWT}}]}), "utf-8")

    status, output = run(tmp_path, DAXKO_PASSWORD=CANARY)

    assert status == 1
    assert output.splitlines() == [
        f"{tmp_path}/a.yaml: interaction 1, request headers: credentials",
        f"{tmp_path}/a.yaml: interaction 1, response body: a known secret",
        f"{tmp_path}/deep/b.json: interaction 2, request uri: a JWT",
    ]


@pytest.mark.shows_secrets("files")
def test_a_program_gets_the_findings_as_json(tmp_path: Path) -> None:
    """A build that annotates files needs their names apart."""
    (tmp_path / "a.yaml").write_text(cassette(f"it is {CANARY}"), "utf-8")

    status, output = run("--json", tmp_path, DAXKO_PASSWORD=CANARY)

    assert status == 1
    found = {"file": f"{tmp_path}/a.yaml", "what": "interaction 1, response body: a known secret"}
    assert json.loads(output) == {"files": 1, "findings": [found]}


def test_clean_cassettes_are_counted(tmp_path: Path) -> None:
    """A scan that looked at nothing is told from one that found nothing."""
    (tmp_path / "a.yaml").write_text(cassette("all well"), "utf-8")
    (tmp_path / "b.YML").write_text("", "utf-8")
    (tmp_path / "notes.txt").write_text(JWT, "utf-8")

    assert run(tmp_path) == (0, "No secret found. Cassettes looked at: 2\n")
    assert run(tmp_path / "notes.txt")[0] == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.yaml", b"\xff\xfe", "it is not text in UTF-8"),
        ("a.yaml", b"interactions: [", "neither YAML nor JSON"),
        ("a.yaml", b"[" * 5_000, "neither YAML nor JSON"),
        ("a.yaml", b"a: !!binary 'x'\n", "neither YAML nor JSON"),
        ("a.yaml", b"a: !!binary H4sI////////////////////////\n", "neither YAML nor JSON"),
        ("elsewhere.yaml", None, "No such file"),
    ],
)
def test_what_cannot_be_read_is_a_finding(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    """What nobody looked into may hold anything."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    status, output = run(tmp_path / name)
    assert status == 1
    assert f"{tmp_path / name}: it cannot be read: " in output
    assert said in output


def test_a_folder_without_a_cassette_is_a_finding(tmp_path: Path) -> None:
    """A path with a typing error would be clean for ever."""
    assert run(tmp_path) == (1, f"{tmp_path}: there is no cassette in this folder\n")


@pytest.mark.parametrize("name", ["DAXKO_PASSWORD", "DAXKO_REFRESH_TOKEN", "DAXKO_MEMBER_PASSWORD"])
@pytest.mark.shows_secrets("files")
def test_values_of_the_environment_and_of_its_files_are_known(tmp_path: Path, name: str) -> None:
    """Whoever recorded has these set already."""
    (tmp_path / "a.yaml").write_text(cassette(CANARY), "utf-8")
    (tmp_path / "kept").write_text(CANARY + "\n", "utf-8")
    assert run(tmp_path / "a.yaml")[0] == 0
    assert run(tmp_path / "a.yaml", **{name: CANARY})[0] == 1
    assert run(tmp_path / "a.yaml", **{f"{name}_FILE": str(tmp_path / "kept")})[0] == 1
    assert scan([tmp_path / "a.yaml"], [Secret(CANARY)]).findings


def test_a_file_of_the_environment_that_cannot_be_read_stops_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan without the value it was meant to look for would say that all is well."""
    status, output = run(tmp_path, DAXKO_PASSWORD_FILE="/nowhere")
    assert status == 1
    assert "DAXKO_PASSWORD_FILE" in output
    monkeypatch.setenv("DAXKO_PASSWORD_FILE", "/nowhere")
    with pytest.raises(CredentialsError):
        scan([tmp_path])


def test_a_short_value_is_not_sought_in_every_word() -> None:
    """A dummy such as "test" stands in every cassette; where it has its place, it is found by the place."""
    assert leaks(cassette("a test of tests"), ["test"]) == []
    assert leaks(cassette('{"password": "test"}'), ["test"]) == ["interaction 1, response body: a secret field"]


def packed(text: str) -> bytes:
    """Compress as servers do, but without the time: what comes of it is part of a test's name."""
    return gzip.compress(text.encode(), mtime=0)


@pytest.mark.parametrize(
    "text",
    [
        cassette(headers={"Cookie": ["a=b"]}),
        cassette(headers={"set-cookie": ["a=b"]}),
        cassette(headers={"Authorization": ["Basic dTpwYXNzd29yZA=="]}),
        cassette(headers={"Proxy-Authorization": ["abc"]}),
        cassette(headers={"X-Key": [OPAQUE]}),
        cassette(uri="https://x.example/?access_token=abc"),
        cassette(packed(json.dumps({"access_token": "abc"}))),
        cassette(packed(CANARY)),
        cassette(CANARY.encode() + b"\xff"),
        cassette({CANARY: 1}),
        cassette("x" * 60 + " " + CANARY + " and so on, folded by the writer over several lines, as vcrpy does it"),
        f"# {CANARY}\n{cassette()}",
        f"# {JWT}\n{cassette()}",
        f"a: &x [{CANARY}]\nb: *x\n",
        f"!!python/object/apply:os.abort [{CANARY}]\n",
        f"? [{CANARY}]\n: 1\n",
        f"a: 1\n---\nb: {CANARY}\n",
        json.dumps({"a": base64.b64encode(CANARY.encode()).decode()}),
        CANARY,
    ],
)
def test_secrets_are_found_wherever_a_cassette_holds_them(text: str) -> None:
    """Cassettes made without these settings are written in other ways: compressed, binary, with tags."""
    found = leaks(text, [CANARY])
    assert found
    assert CANARY not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "Basic Swimming for beginners",
        "Bearer of bad news",
        "3f2b1c9e-8d7a-4c6b-9e5f-0a1b2c3d4e5f",
        "2026-summer-camp-registration-form-for-kids-v2.pdf",
        "a_constant_name_that_is_long_and_has_a_2_in_it",
        "12345678901234567890123456789012345678901234567890",
        "word" * 20,
        '{"password": "", "access_token": "placeholder-access-token-9999"}',
        '{"client_secret": "<client-secret>", "password": "REDACTED"}',
        "grant_type=client_credentials&client_secret=<client-secret>&password=",
        'Bearer realm="daxko", error="invalid_token"',
        "Forgot your password? Our cookies: chocolate",
    ],
)
def test_ordinary_text_is_let_be(text: str) -> None:
    """A scan that cries wolf is switched off."""
    assert leaks(cassette(text)) == []


@pytest.mark.parametrize(
    "value",
    ["DUMMY", "Bearer <refresh-token>", "Bearer XXX", "Basic REDACTED", "<withheld>", "***", "Bearer dummy", ""],
)
def test_what_other_scrubbers_write_is_no_secret(value: str) -> None:
    """Cassettes from before these settings are scanned as well."""
    assert leaks(cassette(headers={"Authorization": [value], "Cookie": [value]})) == []


def test_a_cassette_that_contains_itself_is_read_to_its_end() -> None:
    """Nobody writes one on purpose; a scan must end all the same."""
    assert leaks(f"a: &x [*x, {CANARY}]\n", [CANARY]) == ["in the file: a known secret"]


def test_an_alias_is_a_value_like_any_other() -> None:
    """Whatever comes after it would be taken for something else."""
    text = "a: &x 1\ninteractions:\n- request:\n    uri: *x\n    headers: {Authorization: [Bearer abc]}\n"
    assert leaks(text) == ["interaction 1, request headers: credentials"]


def test_without_its_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line alone does not bring a reader of YAML."""
    monkeypatch.delitem(sys.modules, "daxko_auth.testing.scan")
    monkeypatch.setitem(sys.modules, "yaml", None)
    status, output = run(Path())
    assert status == 1
    assert "pip install '.[testing]'" in output
