"""`daxko-auth doctor`: what it finds when something is wrong, and that it finds nothing when nothing is."""

import base64
import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli.https_server import make_certificate, server
from raw_server import RawServer, answer, saying
from typer.testing import CliRunner

from daxko_auth import AccessToken, ClientScope, FileStore, Secret
from daxko_auth.cli import doctor as doctor_room
from daxko_auth.cli.command_line import app
from daxko_auth.model.origin import Origin
from daxko_auth.sandbox import Sandbox

Findings = dict[str, dict[str, str]]
Examine = Callable[..., tuple[int, Findings]]


@pytest.fixture
def examine(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Run the doctor with the settings of the test's sandbox; return its exit status, and what it found by link."""
    for name, value in sandbox.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def run(*arguments: str) -> tuple[int, Findings]:
        shown = CliRunner().invoke(app, ["doctor", "--json", *arguments])
        return shown.exit_code, {finding["link"]: finding for finding in json.loads(shown.stdout)}

    return run


def jwt(**claims: object) -> str:
    """Write a token with these claims, and a signature that nobody looks at."""
    return ".".join(
        ["eyJhbGciOiJub25lIn0", base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().strip("="), "x"]
    )


def test_where_all_is_well_each_link_says_so(examine: Examine, sandbox: Sandbox) -> None:
    """The chain is as long as the way that a program's call goes."""
    status, found = examine("9999")

    assert status == 0
    assert list(found) == [
        *("settings", "refresh token", "base URL", "name", "connection", "certificate", "clock", "token", "claims"),
        *("call", "store"),
    ]
    verdicts = {name: finding["verdict"] for name, finding in found.items()}
    assert [verdicts.pop("certificate"), verdicts.pop("clock")] == ["skipped", "skipped"], "there is none, nor a Date"
    assert set(verdicts.values()) == {"ok"}
    assert sandbox.token_requests() == 1


def test_it_reads_well_in_80_columns_and_shows_no_secret(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is pasted into tickets."""
    del examine
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["doctor"])

    assert shown.exit_code == 0
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "Add its number: daxko-auth doctor 9999." in shown.stdout


@pytest.mark.parametrize("columns", ["40", "20", "0"])
def test_in_a_narrow_terminal_nothing_is_left_out(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """It is said in many lines then."""
    del examine
    monkeypatch.setenv("COLUMNS", columns)
    shown = CliRunner().invoke(app, ["doctor"])

    assert "…" not in shown.stdout
    assert "daxko-auth doctor 9999." in " ".join(shown.stdout.split())


def test_settings_are_named_and_judged_before_anything_is_sent(
    examine: Examine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most accounts that do not work are pasted wrong."""
    monkeypatch.setenv("DAXKO_PASSWORD", sandbox.refresh_token)
    status, found = examine("9999")

    assert status == 1
    assert found["settings"]["found"].endswith("DAXKO_USERNAME, DAXKO_PASSWORD, DAXKO_REFRESH_TOKEN")
    assert "DAXKO_PASSWORD looks like a token" in found["settings"]["advice"]
    assert found["token"]["found"] == "the account is not known"
    assert sandbox.token_requests() == 0


def test_a_misspelt_setting_is_named(examine: Examine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going on would send the credentials elsewhere."""
    monkeypatch.delenv("DAXKO_BASE_URL")
    monkeypatch.setenv("DAXKO_BASEURL", sandbox.base_url)
    status, found = examine("9999")

    assert status == 1
    assert "did you mean DAXKO_BASE_URL?" in found["base URL"]["advice"]
    assert found["Daxko"]["verdict"] == "skipped"


def test_the_origin_says_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that is set in a file somewhere is the last that one thinks of."""
    monkeypatch.delenv("DAXKO_BASE_URL", raising=False)

    assert doctor_room._origin(None)[1].found == "https://api.daxko.com, from the default"
    assert doctor_room._origin("https://x.test")[1].found == "https://x.test, from --base-url"


def test_a_name_without_an_address_ends_the_chain(examine: Examine) -> None:
    """And nobody is asked for a token."""
    status, found = examine("9999", "--base-url", "https://nothing.invalid")

    assert status == 1
    assert "has no address" in found["name"]["found"]
    assert found["token"]["found"] == "nobody answers"


def test_a_port_where_nobody_listens_is_told_from_a_name(examine: Examine) -> None:
    """Another team has to mend it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    status, found = examine("9999", "--base-url", f"http://127.0.0.1:{port}")

    assert status == 1
    assert "Connection refused" in found["connection"]["found"]


def test_a_proxy_of_the_environment_is_what_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind one, the server's own name may have no address at all."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        found = {finding.link: finding for finding in doctor_room.reach(Origin.of("https://nothing.invalid"))}

    assert "(the proxy of HTTPS_PROXY)" in found["name"].found
    assert found["certificate"].verdict == "skipped"


@pytest.mark.parametrize(("proxy", "port"), [("http://127.0.0.2", 80), ("socks5://127.0.0.2", 1080)])
def test_a_proxy_without_a_port_has_that_of_its_kind(monkeypatch: pytest.MonkeyPatch, proxy: str, port: int) -> None:
    """It is what httpx connects to."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    monkeypatch.setenv("HTTPS_PROXY", proxy)

    assert doctor_room.reach(Origin.of("https://nothing.invalid"))[-1].found.startswith(f"127.0.0.2 port {port} ")


def test_a_setting_of_the_environment_that_cannot_be_used_ends_the_chain(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be sent, and the setting that is at fault is named."""
    monkeypatch.setenv("SSL_CERT_FILE", "/missing.pem")
    status, found = examine("9999")

    assert status == 1
    assert found["environment"]["found"].startswith("SSL_CERT_FILE is '/missing.pem', which cannot be used")
    assert found["token"]["verdict"] == "skipped"


@pytest.mark.parametrize(("days", "verdict"), [(90, "ok"), (3, "warning")])
def test_a_certificate_says_how_long_it_is_good_for(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, verdict: str
) -> None:
    """It is the one link that breaks by itself, on a day that is known."""
    make_certificate(tmp_path / "certificate", days)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    with server(tmp_path / "certificate") as base_url:
        status, found = examine("--base-url", base_url)

    assert status == 0
    assert found["certificate"]["verdict"] == verdict
    assert f"good for {days} more days" in found["certificate"]["found"]
    assert found["clock"]["verdict"] == "ok"


def test_a_certificate_that_nobody_vouches_for_is_said_to_be_that(examine: Examine, tmp_path: Path) -> None:
    """A firewall that looks into TLS is the usual reason, and switching the check off the usual mistake."""
    make_certificate(tmp_path / "certificate", 90)
    with server(tmp_path / "certificate") as base_url:
        status, found = examine("9999", "--base-url", base_url)

    assert status == 1
    assert "it is not trusted: self" in found["certificate"]["found"]
    assert "SSL_CERT_FILE" in found["certificate"]["advice"]
    assert found["token"]["verdict"] == "skipped"


def test_a_port_without_tls_is_said_to_be_that(examine: Examine) -> None:
    """An address with the wrong scheme."""
    with server(None) as base_url:
        status, found = examine("--base-url", base_url.replace("http:", "https:"))

    assert status == 1
    assert "no TLS with 127.0.0.1" in found["certificate"]["found"]


@pytest.mark.parametrize(("minutes", "said"), [(10, "behind"), (-10, "ahead of")])
def test_a_clock_that_is_off_is_a_warning(examine: Examine, minutes: int, said: str) -> None:
    """Tokens are given up by this machine's clock."""
    with server(None, ahead=timedelta(minutes=minutes)) as base_url:
        _, found = examine("--base-url", base_url)

    assert found["clock"]["verdict"] == "warning"
    assert said in found["clock"]["found"]


@pytest.mark.parametrize("year", ["9" * 30, "99999"])
def test_a_date_that_is_none_is_no_reason_to_stop(year: str) -> None:
    """Something else than Daxko may answer, and the next link says so."""
    date = f"Mon, 01 Jan {year} 00:00:00 GMT"
    with RawServer(saying(answer(b"", Date=date))) as server:
        assert doctor_room._clock(Origin.of(server.base_url)).verdict == "skipped"


def test_a_server_that_does_not_speak_http_is_said_to_be_that(examine: Examine) -> None:
    """Something listens, but it is not Daxko."""
    with server(None) as base_url:
        pass
    with socket.create_server(("127.0.0.1", int(base_url.rpartition(":")[2]))) as listening:
        # The first connection is the doctor's look at the port.
        assert doctor_room.reach(Origin.of(base_url))[-1].verdict == "skipped"
        listening.accept()[0].close()
        listening.close()
        assert "no answer over HTTP" in doctor_room._clock(Origin.of(base_url)).found


def test_a_refused_account_says_what_to_do(examine: Examine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the question that most people come with."""
    monkeypatch.setenv("DAXKO_PASSWORD", "wrong")
    status, found = examine("9999")

    assert status == 1
    assert "invalid_client" in found["token"]["advice"]
    assert found["call"]["verdict"] == "skipped"
    assert sandbox.token_requests() == 1


def test_a_call_that_is_refused_all_the_same_is_a_failure(examine: Examine, sandbox: Sandbox) -> None:
    """The account is good, and may not use the endpoint."""
    sandbox.always_401("/v3/programs/locations")
    status, found = examine("9999")

    assert status == 1
    assert "was answered 401" in found["call"]["found"]
    assert "fresh token refused" in found["call"]["advice"]


def test_a_call_that_fails_otherwise_is_told_from_the_token(examine: Examine, sandbox: Sandbox) -> None:
    """The token is not what is wrong then."""
    for status_code, advice in ((503, "was not refused"), (429, "was not refused"), (302, "whether it is Daxko")):
        sandbox.fail_next(1, "redirect" if status_code == 302 else "status", status=status_code, where="resource")
        called = examine("9999")[1]["call"]
        assert called["verdict"] == "warning"
        assert advice in called["advice"]
    sandbox.fail_next(1, "drop", where="resource")
    status, found = examine("9999")

    assert status == 1
    assert found["call"]["found"] == "GET /v3/programs/locations: RemoteProtocolError"


def test_a_store_that_cannot_be_used_is_a_warning(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs go on without one, and ask more often."""
    (tmp_path / "daxko-auth").write_text("in the way")
    status, found = examine("9999")
    assert status == 0
    assert found["store"]["verdict"] == "warning"

    (tmp_path / "daxko-auth").unlink()
    monkeypatch.setattr(FileStore, "read", lambda *_: None)
    assert "not there afterwards" in examine("9999")[1]["store"]["found"]


@pytest.mark.parametrize(
    ("days", "verdict", "said"),
    [(None, "ok", "does not say"), (90, "ok", "ends in 89 d"), (3, "warning", "ends in 2 d"), (-1, "failed", "ended")],
)
def test_a_refresh_token_that_ends_says_so_in_time(days: float | None, verdict: str, said: str) -> None:
    """It is long-lived, so everybody has forgotten that it ends."""
    claims = {} if days is None else {"exp": time.time() + days * 86_400}
    finding = doctor_room._refresh_token(Secret(jwt(**claims)))

    assert finding.verdict == verdict
    assert said in finding.found


@pytest.mark.parametrize("ends", [float("inf"), float("-inf"), float("nan"), 10**400, -(10**400), True, "soon", None])
def test_an_end_that_is_no_time_is_none(ends: object) -> None:
    """JSON has numbers that no clock shows, and what is judged here was never checked by anybody."""
    finding = doctor_room._refresh_token(Secret(jwt(exp=ends)))

    assert (finding.verdict, finding.found) == ("ok", "it does not say when it ends")


@pytest.mark.parametrize(
    ("text", "verdict", "said"),
    [
        ("opaque", "ok", "it is opaque"),
        (jwt(exp=1), "ok", "it says so itself"),
        (jwt(scope="client:1234"), "warning", "another scope"),
    ],
)
def test_a_token_is_compared_with_what_was_asked_for(text: str, verdict: str, said: str) -> None:
    """A token of another customer opens another customer's data."""
    ends = datetime.now(UTC) + timedelta(days=1)
    finding = doctor_room._claims(AccessToken(ClientScope(9999), Secret(text), ends, 86_400))

    assert finding.verdict == verdict
    assert said in finding.found
