"""The page at `/` in a real Chromium: what a developer sees while a program authenticates."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from sandbox.browser import chromium

from daxko_auth import ApiCredentials, Daxko
from daxko_auth.sandbox import Sandbox


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one for all tests of this file."""
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser, sandbox: Sandbox) -> Iterator[Page]:
    """Look at the sandbox's page; whatever it complains of, or asks another host for, is a failure."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            complaints.append(request.url) if not request.url.startswith((sandbox.base_url, "data:")) else None
        ),
    )
    page.goto(sandbox.base_url)
    expect(page.locator("#connection")).to_have_text("Live.")
    yield page
    context.close()
    assert complaints == []


def call(sandbox: Sandbox, times: int = 1) -> None:
    """Be a program that authenticates."""
    credentials = ApiCredentials(sandbox.username, sandbox.password, sandbox.refresh_token)
    with Daxko(credentials, 9999, base_url=sandbox.base_url) as daxko:
        for _ in range(times):
            assert daxko.http.get("/v3/programs/locations").status_code == 200


def rows(page: Page) -> list[str]:
    """Return what the timeline says, newest first."""
    return page.locator("section[aria-labelledby=timeline] tbody td[data-label=What]").all_inner_texts()


def test_a_program_that_authenticates_appears_as_it_does(page: Page, sandbox: Sandbox) -> None:
    """Nobody reloads a page to see whether anything has happened."""
    expect(page.get_by_text("Nothing has arrived yet.")).to_be_visible()
    call(sandbox)

    expect(page.locator("#summary")).to_have_text("1 token request, 1 call; 0 refusals or failures.")
    assert rows(page) == ["call", "token request"]


def test_a_button_expires_the_token_and_the_replay_is_seen(page: Page, sandbox: Sandbox) -> None:
    """It is what the page is for: to press, and to watch what one's program does."""
    call(sandbox)
    page.get_by_role("button", name="Expire").click()
    expect(page.get_by_text("expired", exact=True)).to_be_visible()
    call(sandbox)

    expect(page.get_by_role("cell", name="replay", exact=True)).to_be_visible()
    assert rows(page) == ["replay", "token request", "call", "call", "token request"]
    assert sandbox.token_requests() == 2


def test_the_time_left_counts_down(page: Page, sandbox: Sandbox) -> None:
    """Without the program doing anything."""
    call(sandbox)
    left = page.locator("time")
    expect(left).to_contain_text("23 h 59 min")
    before = left.inner_text()

    expect(left).not_to_have_text(before)


def test_every_button_is_reached_by_the_keyboard(page: Page, sandbox: Sandbox) -> None:
    """And works from there; its name and what it does are read aloud."""
    page.get_by_role("button", name="Expire").focus()
    for name in ("Take back", "Slow down", "Break"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name)).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_text("The token endpoint is broken.")).to_be_visible()
    expect(page.get_by_role("button", name="Break")).to_have_accessible_description("Token requests are answered 503")
    assert sandbox.state()["where"]["partner"]["failures_to_come"] > 0  # type: ignore[index]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_one_way_only_by_day_and_by_night(page: Page, sandbox: Sandbox, scheme: str) -> None:
    """A row that runs out of the screen is not read; nor is grey on grey."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 360, "height": 740})
    call(sandbox)
    expect(page.locator("#summary")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ground, text = (page.evaluate(f"getComputedStyle(document.body).{what}") for what in ("backgroundColor", "color"))
    assert (_lightness(ground) > _lightness(text)) == (scheme == "light")


def _lightness(colour: str) -> int:
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def test_a_sandbox_that_stops_is_said_to_be_gone(browser: Browser) -> None:
    """An old picture must not pass for news."""
    with Sandbox() as sandbox:
        page = browser.new_page()
        page.goto(sandbox.base_url)
        expect(page.locator("#connection")).to_have_text("Live.")

    expect(page.locator("#connection")).to_have_text("The sandbox does not answer.")
    page.close()
