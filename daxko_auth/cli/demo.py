"""
The main job, told as it happens: on an embedded sandbox, over a real socket, with the documented account.

What is shown went over the wire, as the sandbox saw it; no secret is. Each step checks what it
shows, and the demo fails where a check does.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from attrs import define, field
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from daxko_auth.cli import printing
from daxko_auth.client import Daxko
from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.tokens import AccessToken, MemberToken
from daxko_auth.model.vendor import EXAMPLE_CLIENT_ID, EXAMPLE_MEMBER_NAME, EXAMPLE_MEMBER_PASSWORD
from daxko_auth.policy.source import TokenSource
from daxko_auth.sandbox import Arrival, Sandbox

_SECOND_CLIENT_ID: Final = 1234
_OK: Final = 200
_UNAUTHORIZED: Final = 401

_BEARERS: Final = {"refresh_token": "refresh token", "access_token": "access token"}  # nosec B105 # names
_BODIES: Final = {"multipart": "multipart", "json": "JSON", "none": "no body"}
_COLOURS: Final = {_OK: "green", _UNAUTHORIZED: "yellow"}

_NEXT: Final = """\
from daxko_auth import ApiCredentials, Daxko

credentials = ApiCredentials.from_env()
with Daxko(credentials, 9999) as daxko:
    print(daxko.http.get("/v3/programs/locations").json())
"""


class _UnexpectedError(Exception):
    """A step did not do what it says."""


@define
class _Story:
    """Tells each step and shows what went over the wire in it."""

    console: Console
    sandbox: Sandbox
    source: TokenSource
    _told: int = field(default=0)
    _shown: int = field(default=0)

    @contextmanager
    def step(self, title: str, why: str) -> Generator[Callable[[bool], None], None, None]:
        self._told += 1
        self.console.print(f"\n[bold]{self._told}. {title}[/bold]")
        self.tell(why)

        def check(holds: bool) -> None:  # noqa: FBT001 - one fact, said where it is checked
            if not holds:
                raise _UnexpectedError(title)

        yield check
        self._show_wire()

    def tell(self, text: str) -> None:
        self.console.print(Padding(Text(text, "dim"), (0, 0, 0, 3)))

    def show(self, token: AccessToken | MemberToken) -> None:
        self.console.print(f"   {token}", markup=False, soft_wrap=True)

    def _show_wire(self) -> None:
        arrivals = [arrival for arrival in self.sandbox.log if arrival.number > self._shown]
        if not arrivals:
            self.console.print("   nothing went over the wire")
            return
        table = Table.grid(padding=(0, 1))
        for justify in ("right", "right", "left", "left", "left"):
            table.add_column(justify=justify, overflow="fold")
        for arrival in arrivals:
            self._shown = arrival.number
            table.add_row(*_cells(arrival))
        self.console.print(table)


def _cells(arrival: Arrival) -> list[str]:
    status = arrival.status or 0
    return [
        f"  [{_COLOURS.get(status, 'red')}]{status}[/]",
        f"{arrival.milliseconds or 0:.1f} ms",
        f"{arrival.method:<4} {arrival.path}",
        f"{_BEARERS.get(arrival.bearer, 'no bearer')} {arrival.bearer_fingerprint}",
        _BODIES.get(arrival.body, arrival.body),
    ]


def run(console: Console | None = None) -> int:
    """Tell the story; return 0, or 1 if a step did not do what it says."""
    console = console or printing.console()
    with Sandbox(clients=(EXAMPLE_CLIENT_ID, _SECOND_CLIENT_ID)) as sandbox:
        credentials = ApiCredentials(sandbox.username, sandbox.password, sandbox.refresh_token)
        with TokenSource(credentials, sandbox.base_url) as source:
            story = _Story(console, sandbox, source)
            try:
                _tell(story)
            except _UnexpectedError as error:
                console.print(f"\n[red]This step did not do what it says:[/red] {error}")
                return 1
    console.print("\n[bold]What you would write next[/bold]")
    story.tell(
        "With DAXKO_USERNAME, DAXKO_PASSWORD and DAXKO_REFRESH_TOKEN set. Without an account, `daxko-auth sandbox` "
        "prints these settings, and a DAXKO_BASE_URL, to paste."
    )
    console.print(f"\n{_NEXT}", markup=False, soft_wrap=True)
    return 0


def _tell(story: _Story) -> None:
    sandbox, source = story.sandbox, story.source
    with story.step(
        "A sandbox stands in for Daxko",
        f"{sandbox.base_url}, with the account of the vendor's guide. It is not Daxko; API access is sold.",
    ) as check:
        check(sandbox.base_url.startswith("http://127.0.0.1:"))
    with story.step(
        f"Credentials become an access token for Daxko client {EXAMPLE_CLIENT_ID}",
        "Sent as a multipart form; the bearer is the refresh token, here and nowhere else.",
    ) as check:
        token = source.token(EXAMPLE_CLIENT_ID)
        check(token.scope == ClientScope(EXAMPLE_CLIENT_ID))
    story.show(token)
    with Daxko(source.credentials, EXAMPLE_CLIENT_ID, source=source) as daxko:
        with story.step(
            "The access token opens the other endpoints", "Two calls, and no further token request."
        ) as check:
            check(daxko.http.get("/v3/programs/locations").json()["client_id"] == EXAMPLE_CLIENT_ID)
            check(daxko.http.post("/v3/programs/registrations", json={"program": 7}).status_code == _OK)
        with story.step("A member signs in", "JSON this time; the bearer is the access token.") as check:
            member = daxko.member_token(EXAMPLE_MEMBER_NAME, EXAMPLE_MEMBER_PASSWORD)
            check(member.expires_in > 0)
        story.show(member)
        with story.step(
            "The token expires; the 401 is answered by one renewal and one replay",
            "The program made one call and saw a 200.",
        ) as check:
            sandbox.expire()
            answer = daxko.http.get("/v3/programs/locations")
            check(answer.status_code == _OK)
            check([earlier.status_code for earlier in answer.history] == [_UNAUTHORIZED])
            check(source.token(EXAMPLE_CLIENT_ID) != token)
        with story.step(
            f"A second Daxko client, {_SECOND_CLIENT_ID}, gets a token of its own",
            "The same account and connections; one customer's token never opens another's data.",
        ) as check:
            with daxko.for_scope(_SECOND_CLIENT_ID) as sibling:
                check(sibling.http.get("/v3/programs/locations").json()["client_id"] == _SECOND_CLIENT_ID)
            check(source.token(_SECOND_CLIENT_ID) != source.token(EXAMPLE_CLIENT_ID))
    with story.step(
        "A thousand more calls for a token cost nothing", "The token at hand is fresh, so it is handed out at once."
    ) as check:
        before = sandbox.token_requests()
        check(len({source.token(EXAMPLE_CLIENT_ID) for _ in range(1_000)}) == 1)
        check(sandbox.token_requests() == before)
