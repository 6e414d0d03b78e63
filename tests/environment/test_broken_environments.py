"""
A table of broken environments, each run through every entry of the library, in real processes.

Each entry works, or ends in an error of ours that names what is wrong. Nothing ends in a traceback, in a request to
report our own mistakes, or in a message that holds the password of a proxy.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from attrs import field, frozen

from daxko_auth.sandbox import Sandbox

_PROGRAM: Final = Path(__file__).with_name("entries.py")
_CANARY: Final = "canary-of-a-proxy"

_FROM_ENV: Final = frozenset({"from_env"})
_SOURCE: Final = frozenset({"TokenSource"})
_CALLS: Final = frozenset({"token()", "Daxko", "AsyncDaxko", "DaxkoAuth"})
#: Commands that ask for a token.
_ASKING: Final = frozenset({"token", "request", "member", "warm", "doctor"})
_STANDING: Final = frozenset({"demo", "sandbox", "scan-cassettes"})
_COMMANDS: Final = _ASKING | _STANDING
_EVERY: Final = _FROM_ENV | _SOURCE | _CALLS | _COMMANDS
_SENDING: Final = _CALLS | _ASKING


@frozen
class Row:
    """One broken environment, and what comes of it."""

    name: str
    #: What is set; `{folder}` is an empty folder with a few files, and None is not set.
    environ: Mapping[str, str | None] = field(factory=dict)
    #: The entries that fail there; all others work.
    fails: frozenset[str] = frozenset()
    #: What each failure names.
    named: str = ""
    #: Said by an entry that works, on standard error.
    noted: Mapping[str, str] = field(factory=dict)
    #: What a shell does before, and with which streams it starts the program.
    before: str = ""
    streams: str = ""
    #: What no setting says: code that is run before anything is imported.
    prelude: str = ""
    #: How many files may still be opened; then any of the entries may fail.
    files: int | None = None
    entries: frozenset[str] = _EVERY


def _https(name: str, fails: frozenset[str] = _SENDING, named: str = "", **settings: str) -> Row:
    """Return an environment in which something on the way to Daxko is wrong: nothing is ever reached."""
    return Row(
        name,
        {"DAXKO_BASE_URL": "https://daxko.invalid", **settings},
        fails,
        named or next(iter(settings)),
        prelude="import sys; sys.modules['socksio'] = None",
    )


def _certificates(name: str, **settings: str) -> Row:
    # The demonstration opens connections as well, if only to itself.
    return _https(name, _SENDING | {"demo"}, **settings)


def _account(name: str, fails: frozenset[str], named: str = "", **settings: str | None) -> Row:
    return Row(name, settings, fails, named or next(iter(settings)))


_ACCOUNT_UNKNOWN: Final = _EVERY - _STANDING
_PASSWORD_UNSET: Final[dict[str, str | None]] = {"DAXKO_PASSWORD": None}
_CLOCK: Final = "import time; now = time.time; time.time = lambda: now() + {}"
_NOT_WRITTEN: Final = "the output cannot be written: Bad file descriptor"
_READ_ONLY: Final = """
import os
def refuse(*_, **__):
    raise OSError(30, "Read-only file system")
os.mkdir = refuse
"""
_NOBODY: Final = """
import pwd
def unknown(_):
    raise KeyError("uid not found")
pwd.getpwuid = unknown
"""
_FIPS: Final = """
import functools, hashlib
def refuse(*_, **__):
    raise ValueError("[digital envelope routines] unsupported")
hashlib.blake2b = hashlib.blake2s = refuse
def unless_unsafe(make, *given, usedforsecurity=True, **options):
    return refuse() if usedforsecurity else make(*given, usedforsecurity=False, **options)
hashlib.md5, hashlib.sha1 = (functools.partial(unless_unsafe, make) for make in (hashlib.md5, hashlib.sha1))
"""
_SERVERS: Final = frozenset({"demo", "sandbox"})
_LIBRARY: Final = _EVERY - _COMMANDS - {"AsyncDaxko"}
_KEPT_NOWHERE: Final = {"token": "XDG_CACHE_HOME"}

ROWS: Final = [
    # Certificates.
    _certificates("CA file missing", SSL_CERT_FILE="{folder}/missing.pem"),
    _certificates("CA file empty", SSL_CERT_FILE="{folder}/empty"),
    _certificates("CA file not PEM", SSL_CERT_FILE="{folder}/junk"),
    _certificates("CA file a folder", SSL_CERT_FILE="{folder}"),
    _certificates("CA file without a CA folder's help", SSL_CERT_FILE="{folder}/empty", SSL_CERT_DIR="{folder}"),
    _certificates("CA folder missing", SSL_CERT_DIR="{folder}/missing"),
    _certificates("CA folder without certificates", SSL_CERT_DIR="{folder}:{folder}/missing"),
    _certificates("key log in no folder", SSLKEYLOGFILE="{folder}/missing/keys"),
    _certificates("key log a folder", SSLKEYLOGFILE="{folder}"),
    Row("certificates blank", {"SSL_CERT_FILE": "", "SSL_CERT_DIR": "", "SSLKEYLOGFILE": ""}),
    Row("the settings of others", {"REQUESTS_CA_BUNDLE": "/missing", "CURL_CA_BUNDLE": "/missing"}),
    Row("a configuration of OpenSSL that is none", {"OPENSSL_CONF": "{folder}/junk"}),
    # Proxies.
    _https("proxy of an unknown scheme", ALL_PROXY="socks://127.0.0.1:9"),
    _https("proxy of an unknown scheme, small", all_proxy="socks4://127.0.0.1:9"),
    _https("SOCKS proxy without its package", HTTPS_PROXY="socks5h://127.0.0.1:9"),
    _https("proxy with two ports", HTTPS_PROXY=f"http://u:{_CANARY}@127.0.0.1:31:28"),
    _https("proxy with a letter in its port", https_proxy=f"http://u:{_CANARY}@127.0.0.1:3l28"),
    _https("proxy with port 0", HTTPS_PROXY="http://127.0.0.1:0"),
    _https("proxy with too large a port", HTTPS_PROXY="http://127.0.0.1:99999"),
    _https("proxy without a host", HTTPS_PROXY="http://:3128"),
    _https("proxy with a slash too few", HTTPS_PROXY="http:/127.0.0.1:9"),
    _https("proxy with a dot too many", HTTPS_PROXY="http://proxy..invalid:3128"),
    _https("proxy with a blank inside", HTTPS_PROXY="http://proxy .invalid:3128"),
    _https("proxy with a line break", HTTPS_PROXY="http://proxy\n.invalid:3128"),
    _https("proxy password with a slash", HTTPS_PROXY=f"http://u:{_CANARY}/x@127.0.0.1:9"),
    _https("proxy password with @ and slash", HTTPS_PROXY=f"http://u:p@{_CANARY}/x@127.0.0.1:9"),
    _https("proxy password with a number sign", HTTPS_PROXY=f"http://u:{_CANARY}#x@127.0.0.1:9"),
    _https("proxy password with a question mark", HTTPS_PROXY=f"http://u:{_CANARY}?x@127.0.0.1:9"),
    _https("proxy password with @", HTTPS_PROXY=f"http://u:{_CANARY}@x@127.0.0.1:9"),
    _https("proxy password in no charset", HTTPS_PROXY=f"http://u:{_CANARY}\udcff@127.0.0.1:9"),
    _https("proxy without a scheme, and nobody there", HTTPS_PROXY=f"u:{_CANARY}@127.0.0.1:9"),
    _https("proxy misspelt", HTTPS_PROXY="http://proxy.invalid:3128"),
    _https("proxy around which Daxko is reached", named="DAXKO_BASE_URL", HTTPS_PROXY="x:y", NO_PROXY=" ,, .invalid"),
    _https("proxy blank", named="DAXKO_BASE_URL", HTTPS_PROXY=" ", ALL_PROXY=""),
    Row("proxies for the sandbox", {"HTTP_PROXY": "x:y", "http_proxy": "socks://x", "ALL_PROXY": "x:y"}),
    # The account and the base URL.
    _account("password missing", _ACCOUNT_UNKNOWN, "DAXKO_PASSWORD is not set", DAXKO_PASSWORD=None),
    _account("password blank", _ACCOUNT_UNKNOWN, "DAXKO_PASSWORD is blank", DAXKO_PASSWORD=" "),
    _account(
        "files blank", frozenset(), DAXKO_PASSWORD_FILE="", DAXKO_USERNAME_FILE=" ", DAXKO_MEMBER_PASSWORD_FILE=""
    ),
    Row(
        "the one file blank", _PASSWORD_UNSET | {"DAXKO_PASSWORD_FILE": ""}, _ACCOUNT_UNKNOWN, "DAXKO_PASSWORD_FILE is"
    ),
    *(
        Row(name, _PASSWORD_UNSET | {"DAXKO_PASSWORD_FILE": path}, fails | {"scan-cassettes"}, "DAXKO_PASSWORD_FILE")
        for name, path, fails in (
            ("file missing", "{folder}/missing", _ACCOUNT_UNKNOWN),
            ("file a folder", "{folder}", _ACCOUNT_UNKNOWN),
            ("file not text", "{folder}/bytes", _ACCOUNT_UNKNOWN),
        )
    ),
    Row("file empty", _PASSWORD_UNSET | {"DAXKO_PASSWORD_FILE": "{folder}/empty"}, _ACCOUNT_UNKNOWN, "PASSWORD_FILE"),
    _account("member's file a folder", frozenset({"member", "scan-cassettes"}), DAXKO_MEMBER_PASSWORD_FILE="{folder}"),
    # It is the real Daxko's then, and nobody asks it here.
    Row("base URL blank", {"DAXKO_BASE_URL": " "}, entries=_FROM_ENV | _SOURCE),
    _account("base URL with blanks around", frozenset(), DAXKO_BASE_URL=" {sandbox}\t"),
    _account("base URL with a dot too many", _ACCOUNT_UNKNOWN - _FROM_ENV, DAXKO_BASE_URL="https://api..daxko.invalid"),
    _account("base URL with a long name", _ACCOUNT_UNKNOWN - _FROM_ENV, DAXKO_BASE_URL=f"https://{'a' * 64}.invalid"),
    _account("base URL of nobody", _SENDING, DAXKO_BASE_URL="https://daxko.invalid"),
    # Homes and folders.
    Row("no home", {"HOME": None, "XDG_CACHE_HOME": None}, prelude=_NOBODY, noted=_KEPT_NOWHERE),
    Row("home blank", {"HOME": "", "XDG_CACHE_HOME": None}, prelude=_NOBODY),
    Row("cache blank", {"XDG_CACHE_HOME": " "}),
    Row("cache relative", {"XDG_CACHE_HOME": "cache"}, before="cd {folder}"),
    Row("cache in no folder", {"XDG_CACHE_HOME": "/proc/missing"}),
    Row("cache below a file", {"XDG_CACHE_HOME": "{folder}/junk"}),
    Row("cache read-only", {"XDG_CACHE_HOME": "{folder}/missing"}, prelude=_READ_ONLY),
    Row("no folder for temporary files", {"TMPDIR": "/missing"}),
    Row("working folder deleted", before="mkdir {folder}/gone; cd {folder}/gone; rmdir {folder}/gone"),
    Row(
        "working folder deleted, cache relative",
        {"XDG_CACHE_HOME": "cache"},
        before="mkdir {folder}/gone; cd {folder}/gone; rmdir {folder}/gone",
    ),
    # Streams and terminals.
    Row("standard input closed", streams="<&-"),
    Row("standard output closed", fails=_COMMANDS, named=_NOT_WRITTEN, streams=">&-"),
    Row("standard error closed", streams="2>&-"),
    Row("all streams closed", fails=_COMMANDS, streams="<&- >&- 2>&-"),
    Row("streams in ASCII", {"PYTHONIOENCODING": "ascii:strict"}),
    Row("no locale", {"LC_ALL": None, "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    Row("a terminal that is none", {"TERM": None, "COLUMNS": "wide", "LINES": ""}),
    # The machine.
    # Python itself opens files to run a command; event loops need some as well.
    Row("no more files", files=0, named="open files", entries=_LIBRARY),
    *(Row(f"{n} more files for a server", files=n, named="open files", entries=_SERVERS) for n in (1, 2, 3)),
    *(Row(f"{n} more files", files=n, named="open files", entries=_LIBRARY | _ASKING) for n in (1, 2, 3, 4, 6)),
    Row("clock hours ahead", prelude=_CLOCK.format(7_200)),
    Row("clock hours behind", prelude=_CLOCK.format(-7_200)),
    Row("clock reset", prelude="import time; time.time = lambda: 0.0"),
    Row("FIPS 140", prelude=_FIPS),
]


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[Sandbox]:
    """Run one sandbox for all rows."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_entry_works_or_names_what_is_wrong(row: Row, shared_sandbox: Sandbox, tmp_path: Path) -> None:
    """What breaks on somebody's machine is said there, by the name of the setting; it is no mistake of ours."""
    ended = _run(row, shared_sandbox, tmp_path)

    assert set(ended) == row.entries
    assert [
        f"{entry} ({status}): {said}" for entry, (status, said) in ended.items() if _is_wrong(row, entry, status, said)
    ] == []


def _is_wrong(row: Row, entry: str, status: int, said: str) -> bool:
    return (
        any(text in said for text in ("Traceback", "report this", _CANARY))
        or (row.files is None and (status != 0) != (entry in row.fails))
        or (status != 0 and row.named not in said)
        or row.noted.get(entry, "") not in said
    )


def _run(row: Row, sandbox: Sandbox, folder: Path) -> dict[str, tuple[int, str]]:
    """Run the entries there; return the exit status of each, and what it said."""
    place = folder / "place"
    place.mkdir()
    (place / "empty").touch()
    (place / "junk").write_text("junk = [\n", "utf-8")
    (place / "cassette.yaml").write_text("interactions: []\nversion: 1\n", "utf-8")
    (place / "bytes").write_bytes(b"\xff\xfe\x00")
    filled = {"{folder}": str(place), "{sandbox}": sandbox.base_url}

    def fill(text: str) -> str:
        for name, value in filled.items():
            text = text.replace(name, value)
        return text

    environ = {
        **os.environ,
        **sandbox.settings(),
        "DAXKO_MEMBER_PASSWORD": "member_password",
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        **{name: fill(value) for name, value in row.environ.items() if value is not None},
    }
    for name in [name for name, value in row.environ.items() if value is None]:
        environ.pop(name)
    results = folder / "results"
    files = "" if row.files is None else str(row.files)
    program = [sys.executable, str(_PROGRAM), str(results), row.prelude, files, str(place), *sorted(row.entries)]
    line = f'{fill(row.before) or ":"}; exec "$@" {row.streams}'
    subprocess.run(["sh", "-c", line, "sh", *program], env=environ, capture_output=True, check=True)  # noqa: S603, S607
    ended = {name: (status, said) for name, (status, said) in json.loads(results.read_bytes()).items()}
    results.unlink()
    return ended
