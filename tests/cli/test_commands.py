"""The commands that speak to Daxko, as a user meets them: with pipes, terminals and mistakes."""

import base64
import errno
import io
import json
import os
import pty
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from raw_server import RawServer, answer
from support import eventually
from typer.testing import CliRunner

from daxko_auth import AccessToken, ApiCredentials, ClientScope, Secret, TokenSource
from daxko_auth.cli import command_line, printing, request, token
from daxko_auth.cli.command_line import app
from daxko_auth.sandbox import Sandbox

Run = Callable[..., Result]


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with the settings of the test's sandbox, and a cache of its own."""
    for name, value in sandbox.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *arguments, stdin=None: CliRunner().invoke(app, arguments, input=stdin)  # type: ignore[return-value]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands take their output for a terminal."""
    monkeypatch.setattr(token, "is_watched", lambda: True)
    monkeypatch.setattr(request, "is_watched", lambda: True)


def test_into_a_pipe_goes_the_token_and_nothing_else(run: Run, sandbox: Sandbox) -> None:
    """It is put into a header by the shell."""
    first, second = run("token", "9999"), run("token", "client:9999")

    assert first.exit_code == second.exit_code == 0
    assert first.stderr == ""
    assert first.stdout == second.stdout
    assert len(first.stdout.split()) == 1
    assert sandbox.token_requests() == 1, "a command uses what the one before has kept"


@pytest.mark.usefixtures("watched")
def test_on_a_terminal_a_token_is_described(run: Run) -> None:
    """A token on a screen is a token in a screenshot."""
    shown = run("token", "9999")

    assert [line.split("  ")[0] for line in shown.stdout.splitlines()] == [
        *("scope", "base URL", "fingerprint", "age", "expires")
    ]
    assert "client:9999" in shown.stdout
    assert "eyJ" not in shown.output
    assert "--reveal" in shown.stderr


@pytest.mark.usefixtures("watched")
def test_a_token_is_revealed_where_that_is_asked_for(run: Run) -> None:
    """Some have no pipe."""
    revealed = run("token", "9999", "--reveal").stdout.strip()
    facts = json.loads(run("token", "9999", "--json").stdout)

    assert revealed.startswith("eyJ")
    assert set(facts) == {"scope", "base_url", "fingerprint", "age", "expires_in", "expires_at"}
    assert facts["expires_in"] + facts["age"] == pytest.approx(86_400, abs=2)
    assert json.loads(run("token", "9999", "--json", "--reveal").stdout)["token"] == revealed


def test_a_mistake_is_one_paragraph_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator reads it at night."""
    monkeypatch.delenv("DAXKO_PASSWORD")
    shown = run("token", "9999")

    assert shown.exit_code == 1
    assert shown.stderr.startswith("daxko-auth: DAXKO_PASSWORD is not set.")
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize("base_url", ["https://api.daxko.com/v3", "https://api.partners.daxko.com"])
def test_a_base_url_that_is_another_api_is_refused(run: Run, sandbox: Sandbox, base_url: str) -> None:
    """The vendor has two interfaces, and their URLs look alike."""
    shown = run("token", "9999", "--base-url", base_url)

    assert shown.exit_code == 1
    assert "base_url is" in shown.stderr
    assert "https://api.daxko.com" in shown.stderr
    assert sandbox.log == []


def test_without_a_place_to_keep_tokens_commands_work_all_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build machine may have no home."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", "file")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("daxko_auth.stores.file_store.os", _NoOwners())
    shown = run("token", "9999")

    assert shown.exit_code == 0
    assert shown.stdout.startswith("eyJ")
    assert "not kept for the next command" in shown.stderr


class _NoOwners:
    """A system without owners of files."""

    fspath = staticmethod(os.fspath)


def test_an_answer_goes_into_a_pipe_as_it_came(run: Run, sandbox: Sandbox) -> None:
    """What comes next parses it."""
    shown = run("request", "get", "/v3/programs/locations?page=2", "--scope", "9999")

    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["query"] == "page=2"
    assert shown.stderr == ""
    assert [arrival.bearer for arrival in sandbox.log] == ["refresh_token", "access_token"]


@pytest.mark.usefixtures("watched")
def test_json_on_a_terminal_is_indented(run: Run, sandbox: Sandbox) -> None:
    """A person reads it; what is not JSON is shown as far as it can be."""
    assert '\n  "client_id": 9999' in run("request", "GET", "/v3/x", "--scope", "9999").stdout

    def answered(body: bytes, content_type: str) -> Result:
        sandbox.fail_next(1, "answer", where="resource", body=body, content_type=content_type)
        return run("request", "GET", "/v3/x", "--scope", "9999")

    assert answered(b"hello", "text/plain").stdout == "hello\n"
    assert answered(b"{half", "application/json").stdout == "{half\n"
    assert answered(b"", "application/json").stdout == ""
    binary = answered(b"\0" * 2_000, "image/png")
    assert binary.stdout == ""
    assert "2,000 bytes of image/png" in binary.stderr


@pytest.mark.parametrize(("status", "exit_code"), [(204, 0), (302, 3), (404, 4), (500, 5)])
def test_the_exit_status_is_the_class_of_the_answer(run: Run, sandbox: Sandbox, status: int, exit_code: int) -> None:
    """A script branches on it."""
    sandbox.fail_next(1, "answer", where="resource", status=status)
    shown = run("request", "GET", "/v3/x", "--scope", "9999")

    assert shown.exit_code == exit_code
    assert (f"answered {status}" in shown.stderr) == (exit_code != 0)


def test_a_401_that_stays_says_why(run: Run, sandbox: Sandbox) -> None:
    """It was sent again with a new token, which is not to be guessed."""
    sandbox.always_401("/v3/x")
    shown = run("request", "GET", "/v3/x", "--scope", "9999")

    assert shown.exit_code == 4
    assert "fresh token refused" in shown.stderr


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--data", '{"a": 1}'], b'{"a": 1}'),
        (["--data", "@-"], b'{"of": "stdin"}'),
        (["--form", "a=1", "--form", "b=x y"], b"a=1&b=x+y"),
        (["--form", "a=\udcff"], b"a=%FF"),
    ],
)
def test_a_body_is_sent_as_given(run: Run, options: list[str], sent: bytes) -> None:
    """The answer says how long the body was, and what it was."""
    shown = run("request", "POST", "/v3/x", "--scope", "9999", *options, stdin='{"of": "stdin"}')

    assert json.loads(shown.stdout)["body"]["bytes"] == len(sent)


def test_a_body_is_read_from_a_file(run: Run, tmp_path: Path) -> None:
    """As with curl."""
    (tmp_path / "body.json").write_text("[1, 2]")
    shown = run("request", "PUT", "/v3/x", "--scope", "9999", "--data", f"@{tmp_path}/body.json")

    assert json.loads(shown.stdout)["body"]["bytes"] == 6


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--data", "{bad"], "not JSON"),
        (["--data", "[" * 100_000], "not JSON"),
        (["--data", "@/no/such/file"], "cannot be read"),
        (["--data", "1", "--form", "a=1"], "one body"),
        (["--form", "a"], "NAME=VALUE"),
        (["--header", "a"], "NAME:VALUE"),
        (["--header", "Authorization: Bearer x"], "leave it out"),
        # httpx would send it, and less than it says.
        (["--header", "content-length: 5"], "leave it out"),
        (["--header", "Transfer-Encoding: chunked"], "leave it out"),
    ],
)
def test_a_request_that_makes_no_sense_is_not_sent(run: Run, sandbox: Sandbox, options: list[str], says: str) -> None:
    """A typing error costs nothing."""
    shown = run("request", "POST", "/v3/x", "--scope", "9999", *options)

    assert shown.exit_code == 2
    assert says in " ".join(shown.stderr.replace("│", " ").split())
    assert sandbox.log == []


def test_the_wire_is_shown_without_a_secret(run: Run, sandbox: Sandbox) -> None:
    """It is pasted into tickets."""
    run("token", "9999")
    sandbox.expire()
    shown = run("request", "GET", "/v3/x?key=hidden", "--scope", "9999", "-v", "-H", "X-Key: also hidden")

    assert shown.exit_code == 0
    said = shown.stderr
    assert said.count("> GET /v3/x?...") == 2
    assert "< 401 Unauthorized" in said
    assert "* token request 1 for client:9999: a token after" in said
    assert "was refused" in said
    assert "* sent again" in said
    assert "> authorization: Bearer <access token " in said
    assert "> x-key: <withheld>" in said
    assert "hidden\n" not in said
    assert "eyJ" not in said


@pytest.mark.parametrize("method", ["", "G T", "G\u00c9T", "GET\n"])
def test_a_method_that_is_none_is_a_mistake(run: Run, sandbox: Sandbox, method: str) -> None:
    """Each version of httpx has its own error for it."""
    shown = run("request", method, "/v3/x", "--scope", "9999")

    assert shown.exit_code == 2
    assert "a method is a word" in shown.stderr
    assert sandbox.log == []


TOKEN, KEY = "the-access-token-itself", "a-key-of-the-program"
REPEATED: dict[str, Callable[[bytes], bytes]] = {
    "in the reason phrase": lambda secret: b"HTTP/1.1 403 no " + secret + b"\r\nContent-Length: 0\r\n\r\n",
    "in a header": lambda secret: b'HTTP/1.1 403 no\r\nETag: "' + secret + b'"\r\nContent-Length: 0\r\n\r\n',
    "in the name of a header": lambda secret: b"HTTP/1.1 403 no\r\n" + secret + b": 1\r\nContent-Length: 0\r\n\r\n",
    "in a line that is no header": lambda secret: b"HTTP/1.1 403 no\r\nno header " + secret + b"\r\n\r\n",
    "in a line that is no status": lambda secret: b"HTTP/1.1 no " + secret + b"\r\n\r\n",
    "in its kind": lambda secret: answer(b"\0", "403 no", content_type=f"image/{secret.decode()}"),
    "in Base64": lambda secret: answer(b"", f"403 {base64.b64encode(secret).decode()}"),
}


# In that of httpcore, which logs what a server says.
@pytest.mark.shows_secrets("log")
@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("verbose", [["-v"], []], ids=["verbose", "not verbose"])
@pytest.mark.parametrize("secret", [TOKEN, KEY, "another-refresh.token"])
@pytest.mark.parametrize("way", REPEATED)
def test_what_a_server_repeats_of_the_secrets_it_was_sent_is_masked(
    run: Run, monkeypatch: pytest.MonkeyPatch, way: str, secret: str, verbose: list[str]
) -> None:
    """Servers and proxies that refuse a request like to say what they refuse, and httpx quotes them."""

    def behave(connection: socket.socket, _: threading.Event) -> None:
        is_for_token = b"oauth2/token" in server.requests[-1]
        granted = answer(json.dumps({"access_token": TOKEN, "expires_in": "3600"}).encode())
        connection.sendall(granted if is_for_token else REPEATED[way](secret.encode()))

    monkeypatch.setenv("DAXKO_REFRESH_TOKEN", "another-refresh.token")
    with RawServer(behave) as server:
        monkeypatch.setenv("DAXKO_BASE_URL", server.base_url)
        shown = run("request", "GET", "/v3/x", "--scope", "9999", "-H", f"X-Key: {KEY}", *verbose)

    assert shown.exit_code in {1, 4}
    assert secret not in shown.output
    assert base64.b64encode(secret.encode()).decode() not in shown.output
    if verbose or shown.exit_code == 1 or way in {"in the reason phrase", "in its kind", "in Base64"}:
        assert "***" in shown.stderr


def test_a_header_that_cannot_be_sent_is_not_repeated(run: Run) -> None:
    """It was to be withheld."""
    shown = run("request", "GET", "/v3/x", "--scope", "9999", "-H", f"X-Key: {KEY}\n1")

    assert shown.exit_code == 1
    assert "LocalProtocolError" in shown.stderr
    assert KEY not in shown.output


def test_a_proxy_that_repeats_its_password_is_masked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets it with each connection."""

    def refuse(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 407 not with s3cret-of-the-proxy\r\nContent-Length: 0\r\n\r\n")

    account = TokenSource(ApiCredentials.from_env(), "https://daxko.example")
    monkeypatch.setattr(request, "open_source", lambda *_: account)
    token = AccessToken(ClientScope(9999), Secret(TOKEN), datetime.now(UTC) + timedelta(hours=1), 3_600)
    monkeypatch.setattr(TokenSource, "token", lambda *_: token)
    with RawServer(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cret-of-the-proxy@127.0.0.1:{proxy.port}")
        shown = run("request", "GET", "/v3/x", "--scope", "9999")

    assert shown.exit_code == 1
    assert "ProxyError, 407 not with ***" in shown.stderr


def test_no_answer_is_one_paragraph(run: Run, sandbox: Sandbox) -> None:
    """It says where to look next."""
    run("token", "9999")
    sandbox.fail_next(1, "drop", where="resource")
    shown = run("request", "GET", "/v3/x", "--scope", "9999")

    assert shown.exit_code == 1
    assert "RemoteProtocolError" in shown.stderr
    assert "daxko-auth doctor" in shown.stderr


def test_a_request_to_another_server_is_refused(run: Run) -> None:
    """The token would go along."""
    shown = run("request", "GET", "https://example.com/v3/x", "--scope", "9999")

    assert shown.exit_code == 1
    assert "was not sent" in shown.stderr


def test_a_member_signs_in_with_a_password_that_no_option_takes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options are in the shell's history and in the list of processes."""
    of_stdin = run("member", "member_name", "--scope", "9999", "--json", stdin="member_password\n")
    monkeypatch.setenv("DAXKO_MEMBER_PASSWORD", "member_password")
    of_env = run("member", "member_name", "--scope", "9999")

    assert json.loads(of_stdin.stdout)["member"] == "member_name"
    assert of_env.exit_code == 0
    assert of_env.stdout.startswith("eyJ")


def test_standard_input_without_a_password_in_it_is_said_to_be_that(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, or bytes of another charset."""
    assert "no password on standard input" in run("member", "ann", "--scope", "9999", stdin=b"\xff\xfe\n").stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EBADF, "Bad file descriptor"), "the output cannot be written: Bad file descriptor"),
        (OSError(errno.EMFILE, "Too many open files"), "a file that this process needs cannot be opened: Too many"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "the system refused what this command needs"),
    ],
)
def test_what_the_system_refuses_is_one_paragraph_in_its_own_words(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    """Not every one of its errors is about the output."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(token, "print_json", refuse)
    monkeypatch.setattr(command_line, "_discard_output", lambda: None)
    shown = run("token", "9999", "--json")

    assert shown.exit_code == 1
    assert shown.stderr.startswith(f"daxko-auth: {said}")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["completion", "bash"]])
def test_a_closed_output_is_said_by_whatever_prints(arguments: list[str]) -> None:
    """A service manager may have closed it."""
    line = f"{shlex.join([sys.executable, '-m', 'daxko_auth', *arguments])} >&-"
    ended = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)  # noqa: S603, S607

    assert ended.returncode == 1
    assert ended.stderr == "daxko-auth: the output cannot be written: Bad file descriptor\n"


def test_a_path_in_no_charset_is_a_mistake_and_no_traceback(run: Run) -> None:
    """A shell passes on any bytes."""
    shown = run("request", "GET", "/v3/\udcff", "--scope", "9999")

    assert shown.exit_code == 1
    assert "UnicodeEncodeError" in shown.stderr


def test_a_wrong_password_of_a_member_is_sent_once(run: Run, sandbox: Sandbox) -> None:
    """A doubled failed login can lock the member out; and none at all is not sent."""
    wrong = run("member", "member_name", "--scope", "9999", stdin="wrong\n")
    none = run("member", "member_name", "--scope", "9999", stdin="")

    assert wrong.exit_code == 1
    assert "invalid_grant" in wrong.stderr
    assert none.exit_code == 2
    assert "no password" in none.stderr
    assert sum(arrival.path.startswith("/v3/members") for arrival in sandbox.log) == 1


def test_warming_says_what_came_of_each(run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    """One customer that is not linked is no reason to start without the others."""
    (tmp_path / "clients").write_text("9999\n\n1234  # the second\n# none here\n77\n")
    shown = run("warm", "9999", "--file", str(tmp_path / "clients"))

    assert shown.exit_code == 1
    assert shown.stderr.startswith("client:77: no access token")
    assert [line.split() for line in shown.stdout.splitlines()][:2] == [["tokens", "2"], ["failures", "1"]]
    before = sandbox.token_requests()
    facts = json.loads(run("warm", "--json", "--file", "-", stdin="9999\n1234").stdout)
    assert [entry["scope"] for entry in facts["tokens"]] == ["client:9999", "client:1234"]
    assert facts["failures"] == []
    assert facts["token_requests"] == 0
    assert sandbox.token_requests() == before, "they were kept"


def test_a_failure_in_json_says_whether_to_try_again(run: Run, sandbox: Sandbox) -> None:
    """A program decides by it."""
    sandbox.fail_next(1, "status", status=403)
    shown = run("warm", "9999", "--json")

    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["failures"][0]["retryable"] is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [([], "name the Daxko clients"), (["--file", "/no/such"], "cannot be read"), (["--concurrency", "99"], "99")],
)
def test_warming_nothing_is_a_mistake(run: Run, arguments: list[str], says: str) -> None:
    """A pipeline that lost its list should notice."""
    shown = run("warm", *arguments)

    assert shown.exit_code == 2
    assert says in shown.stderr


def test_a_file_that_is_no_text_is_named(run: Run, tmp_path: Path) -> None:
    """A spreadsheet, for instance."""
    (tmp_path / "clients.xls").write_bytes(b"\xff\xfe\x00")
    shown = run("warm", "--file", str(tmp_path / "clients.xls"))

    assert shown.exit_code == 2
    assert "not text in" in shown.stderr


def _on_a_terminal(arguments: list[str], typed: bytes = b"") -> tuple[int, str]:
    """Run a command in a terminal of its own; return its exit status and what was to be seen."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover - the command's own process
        os.execv(sys.executable, [sys.executable, "-m", "daxko_auth", *arguments])  # noqa: S606 - our own command
    seen = b""
    try:
        while True:
            # Typed once it is asked for: what comes before the blank is thrown away.
            if typed and seen.endswith(b"password: "):
                os.write(terminal, typed)
                typed = b""
            seen += os.read(terminal, 4_096)
    except OSError:
        pass
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("run")
def test_a_real_terminal_sees_facts_a_bar_and_no_password() -> None:
    """What is decided by the terminal is tried in one."""
    status, seen = _on_a_terminal(["token", "9999"])
    assert status == 0
    assert "fingerprint" in seen
    assert "eyJ" not in seen

    status, seen = _on_a_terminal(["member", "member_name", "--scope", "9999"], b"member_password\n")
    assert status == 0, seen
    assert "fingerprint" in seen
    assert "member_password" not in seen

    status, seen = _on_a_terminal(["warm", "9999", "1234"])
    assert status == 0
    assert "2/2" in seen


@pytest.mark.usefixtures("run")
def test_ctrl_c_is_clean(sandbox: Sandbox) -> None:
    """Whoever stops a command that hangs is not to read a traceback."""
    sandbox.hold()
    process = subprocess.Popen(
        [sys.executable, "-m", "daxko_auth", "token", "9999"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            eventually(lambda: sandbox.token_requests() > 0 or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            _, complaints = process.communicate()
        finally:
            process.kill()

    assert process.returncode == 130
    assert complaints.strip() == ""


@pytest.mark.usefixtures("run")
def test_output_that_goes_nowhere_is_no_traceback() -> None:
    """A disk is full, or the next program in the pipe has read enough."""

    def run_into(place: str) -> subprocess.CompletedProcess[str]:
        line = f"set -o pipefail; {shlex.quote(sys.executable)} -m daxko_auth token 9999 {place}"
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)  # noqa: S603, S607

    full = run_into("> /dev/full")
    assert (full.returncode, full.stderr) == (1, "daxko-auth: the output cannot be written: No space left on device\n")
    read_enough = run_into("| true")
    assert read_enough.returncode in {0, 1}
    assert read_enough.stderr == ""


@pytest.mark.parametrize(
    ("seconds", "said"), [(59.9, "59 s"), (61, "1 min 1 s"), (3_660, "1 h 1 min"), (90_000, "1 d 1 h")]
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, said: str) -> None:
    """Nobody divides by 3600 in their head."""
    assert printing.duration(seconds) == said


def test_output_that_is_no_terminal_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is printed depends on it."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    assert not printing.is_watched()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str) -> None:
    """The script is what the shell sources, and asks this program by the name it sets."""
    shown = CliRunner().invoke(app, ["completion", shell])
    asked = subprocess.run(
        [sys.executable, "-m", "daxko_auth"],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "_DAXKO_AUTH_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": "daxko-auth wa",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "COMP_WORDS": "daxko-auth wa",
            "COMP_CWORD": "1",
        },
    )

    assert shown.exit_code == 0
    assert "_DAXKO_AUTH_COMPLETE" in shown.output
    assert "warm" in asked.stdout
