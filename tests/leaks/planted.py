"""
Leaks, planted one to a test, for the leak hunt to find. Not collected with the others: each of these must fail.

Each behaves like a careless line of code somewhere, in the library or in what it uses. `# found in:` says
where the hunt has to say that it found the secret, and which.
"""

import base64
import io
import json
import logging
import subprocess
import sys
import urllib.parse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import daxko_auth
from daxko_api.models.access_token_request import AccessTokenRequest
from daxko_auth import AccessToken, ApiCredentials, Daxko, TokenRefused, TokenSource
from daxko_auth.model.secret import Secret
from daxko_auth.sandbox import Sandbox


def ours(source_text: str) -> Callable[..., Any]:
    """Return the function `f` of a source text, which claims to stand in our package."""
    namespace: dict[str, Any] = {}
    file = str(Path(str(daxko_auth.__file__)).with_name("planted.py"))
    exec(compile(source_text, file, "exec"), namespace)  # noqa: S102 - our own text
    function: Callable[..., Any] = namespace["f"]
    return function


@pytest.fixture
def token(source: TokenSource) -> AccessToken:
    """Give an access token."""
    return source.token(9999)


@pytest.mark.parametrize("name", ["daxko_auth", "httpx", "httpcore.http11", "somebody.else"])
def test_log_at_debug(token: AccessToken, name: str) -> None:  # found in: access token in log
    """Log a token where only DEBUG shows it."""
    logging.getLogger(name).debug("got %s", token.reveal())


def test_log_that_does_not_propagate(token: AccessToken) -> None:  # found in: access token in log
    """Log to a logger that no handler of the root hears."""
    logger = logging.getLogger("silent")
    logger.propagate = False
    logger.info(token.reveal())


def test_log_argument(credentials: ApiCredentials) -> None:  # found in: refresh token in log
    """Log it as an argument that the message does not show, but a structured handler does."""
    logging.getLogger("daxko_auth").info("%(what)s", {"what": "done", "bearer": credentials.refresh_token.reveal()})


def test_log_of_an_exception(credentials: ApiCredentials) -> None:  # found in: password in exceptions
    """Log an exception whose frame has it as a local."""
    try:
        ours("def f(password):\n raise ValueError")(credentials.password.reveal())
    except ValueError:
        logging.getLogger("daxko_auth").exception("it failed")


ENCODED: dict[str, Callable[[str], str]] = {
    "percent": lambda value: "".join(f"%{byte:02X}" if chr(byte) in "-_." else chr(byte) for byte in value.encode()),
    "JSON": lambda value: json.dumps({"token": value}),
    "base64": lambda value: base64.b64encode(f"user:{value}".encode()).decode(),
    "base64url": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "bytes": lambda value: repr(value.encode()),
}


@pytest.mark.parametrize("encoding", [name for name in ENCODED if name != "percent"])
def test_encoded(token: AccessToken, encoding: str) -> None:  # found in: access token in log
    """Log it in disguise."""
    logging.getLogger("daxko_auth").info(ENCODED[encoding](token.reveal()))


def test_percent_encoded(sandbox: Sandbox) -> None:  # found in: member password in log
    """Log a password as it stands in a URL."""
    with Sandbox(members={"ann": "p/ss w\u00f6rd?&"}):
        logging.getLogger("daxko_auth").info("?q=%s", urllib.parse.quote_plus("p/ss w\u00f6rd?&"))


def test_json_escaped(sandbox: Sandbox) -> None:  # found in: member password in log
    """Log a password as JSON escapes it."""
    with Sandbox(members={"ann": 'quote"\u00e4\\back'}):
        logging.getLogger("daxko_auth").info(json.dumps('quote"\u00e4\\back'))


def test_prefix(credentials: ApiCredentials) -> None:  # found in: password in log
    """Log the first characters only, which people take for harmless."""
    logging.getLogger("daxko_auth").info("password %s...", credentials.password.reveal()[:12])


def test_signature(token: AccessToken) -> None:  # found in: access token in log
    """Log the part of a token that is its own."""
    logging.getLogger("daxko_auth").info(token.reveal().rpartition(".")[2])


def test_print(token: AccessToken) -> None:  # found in: access token in output
    """Print it."""
    sys.stdout.write(token.reveal())


def test_print_to_stderr(token: AccessToken) -> None:  # found in: access token in output
    """Print it where errors go."""
    sys.stderr.write(token.reveal())


def test_print_and_read(
    token: AccessToken, capsys: pytest.CaptureFixture[str]
) -> None:  # found in: access token in output
    """Print it, in a test that looks at what was printed."""
    sys.stdout.write(token.reveal())
    capsys.readouterr()


def test_print_elsewhere(token: AccessToken) -> None:  # found in: access token in output
    """Print it in another process."""
    subprocess.run([sys.executable, "-c", "import sys; print(sys.argv[1])", token.reveal()], check=True)  # noqa: S603


def test_warning(token: AccessToken) -> None:  # found in: access token in warnings
    """Warn with it."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        warnings.warn(token.reveal(), stacklevel=1)


def test_error_message(credentials: ApiCredentials) -> None:  # found in: password in exceptions
    """Say it in an error."""
    TokenRefused(f"wrong: {credentials.password.reveal()}")


def test_error_attribute(credentials: ApiCredentials) -> None:  # found in: password in exceptions
    """Keep it in an error."""
    TokenRefused("wrong", error_description=credentials.password.reveal())


def test_error_note(credentials: ApiCredentials) -> None:  # found in: refresh token in exceptions
    """Add it to an error."""
    TokenRefused("wrong").add_note(credentials.refresh_token.reveal())


def raising_from(credentials: ApiCredentials, cause: Exception | None) -> None:
    """Raise an error of ours while another one is handled, whose frame is ours and holds the password."""
    try:
        ours("def f(value):\n held = value.reveal()\n int('x')")(credentials.password)
    except ValueError as error:
        raise TokenRefused("wrong") from cause and error


def test_error_cause(credentials: ApiCredentials) -> None:  # found in: password in exceptions
    """Raise an error of ours from one whose frame is ours and holds it."""
    with pytest.raises(TokenRefused):
        raising_from(credentials, ValueError())


def test_error_context(credentials: ApiCredentials) -> None:  # found in: password in exceptions
    """The same, with the context suppressed, which error reporters do not mind."""
    with pytest.raises(TokenRefused):
        raising_from(credentials, None)


def test_local(token: AccessToken) -> None:  # found in: access token in exceptions
    """Hold it as a local of ours while somebody else's error passes."""
    with pytest.raises(ZeroDivisionError):
        ours("def f(value):\n header = 'Bearer ' + value.reveal()\n 1 / 0")(token)


def test_local_below_ours(token: AccessToken) -> None:  # found in: access token in exceptions
    """Hold it as a local of a library that we call, while an error of ours passes."""

    def library(given: str) -> None:
        raise TokenRefused("wrong")

    with pytest.raises(TokenRefused):
        ours("def f(library, value):\n library(value.reveal())")(library, token)


def test_attrs_field(
    credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:  # found in: password in exceptions
    """Hold it in an attrs object that only a pretty-printer opens."""
    from attrs import define  # noqa: PLC0415

    model = define(repr=False)(type("Model", (), {"__annotations__": {"client_secret": str}}))
    with pytest.raises(ZeroDivisionError):
        ours("def f(model):\n 1 / 0")(model(credentials.password.reveal()))


def test_secret_with_a_repr(
    credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:  # found in: password in log
    """Lose the mask of the one type that everything depends on."""
    monkeypatch.setattr(Secret, "__repr__", lambda self: self._value)
    logging.getLogger("daxko_auth").info("%r", credentials)


def test_generated_repr(
    credentials: ApiCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:  # found in: password in log
    """Lose the mask of a generated model."""
    monkeypatch.setattr(AccessTokenRequest, "__repr__", lambda self: repr(self.to_dict()))
    body = AccessTokenRequest("name", credentials.password.reveal(), "client:9999")
    logging.getLogger("daxko_auth").info("%r", body)


def test_file(token: AccessToken, tmp_path_factory: pytest.TempPathFactory) -> None:  # found in: access token in files
    """Write it to a file, anywhere."""
    (tmp_path_factory.mktemp("cache") / "token.json").write_text(json.dumps({"token": token.reveal()}), "utf-8")


def test_file_of_another_process(token: AccessToken, tmp_path: Path) -> None:  # found in: access token in files
    """Have another process write it."""
    script = "import sys, pathlib; pathlib.Path(sys.argv[1], 'x').write_text(sys.argv[2])"
    subprocess.run([sys.executable, "-c", script, tmp_path, token.reveal()], check=True)  # noqa: S603


def test_raw_file(
    token: AccessToken, tmp_path_factory: pytest.TempPathFactory
) -> None:  # found in: access token in files
    """Write it without Python's text layer."""
    with io.FileIO(str(tmp_path_factory.mktemp("raw") / "x"), "w") as file:
        file.write(token.reveal().encode())


def test_member_password_in_a_log(
    sandbox: Sandbox, credentials: ApiCredentials
) -> None:  # found in: member password in log
    """Log what a member typed, right or wrong."""
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        with pytest.raises(daxko_auth.MemberLoginRefused):
            daxko.member_token("member_name", "hunter2-hunter2")
        logging.getLogger("daxko_auth").info("no luck with hunter2-hunter2")


def test_member_token_in_a_log(sandbox: Sandbox, credentials: ApiCredentials) -> None:  # found in: member token in log
    """Log what signs a member in."""
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        logging.getLogger("daxko_auth").info(daxko.member_token("member_name", "member_password").reveal())


@pytest.mark.parametrize("where", ["header", "query", "body"])
def test_stray_refresh_token(sandbox: Sandbox, where: str) -> None:  # found in: misplaced on the wire
    """Send the refresh token to an endpoint that has no business with it."""
    value = sandbox.refresh_token
    request = {
        "header": {"headers": {"Authorization": f"Bearer {value}"}},
        "query": {"params": {"token": base64.b64encode(value.encode()).decode()}},
        "body": {"content": value},
    }[where]
    logging.getLogger("httpx").disabled = True
    httpx.post(f"{sandbox.base_url}/v3/anything", **request)  # type: ignore[arg-type]
    logging.getLogger("httpx").disabled = False
