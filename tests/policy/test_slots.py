"""One slot for each scope, whoever asks, and none for scopes that nobody needs."""

import sys
import threading

import pytest

from daxko_auth import ApiCredentials, ClientScope, TokenKey
from daxko_auth.policy import slots as module
from daxko_auth.policy.flight import Slot
from daxko_auth.policy.slots import Slots

CREDENTIALS = ApiCredentials("user", "password", "refresh")


def new_slots(*, idle: bool) -> Slots:
    """Make a table whose slots are all idle, or none."""
    return Slots(lambda scope: Slot(TokenKey("https://daxko.example", CREDENTIALS, scope)), lambda _: idle)


def test_every_spelling_finds_the_same_slot() -> None:
    """Or else one customer would have two tokens."""
    slots, scope = new_slots(idle=False), ClientScope(9999)
    slot = slots.find(9999, scope)
    assert slots.find("9999", scope) is slot
    assert slots.find(scope, scope) is slot
    assert slots.table.young[9999] is slot
    assert slots.all() == {slot}


@pytest.mark.parametrize("idle", [True, False])
def test_what_nobody_needs_is_forgotten_and_nothing_else(monkeypatch: pytest.MonkeyPatch, idle: bool) -> None:
    """A program that is handed scopes by strangers must not grow with each; one of many customers keeps them all."""
    monkeypatch.setattr(module, "_SMALLEST", 8)
    slots = new_slots(idle=idle)
    for number in range(1, 1000):
        slots.find(number, ClientScope(number))
    assert (len(slots.all()) < 100) is idle
    assert (slots.find(1, ClientScope(1)).key.scope) == ClientScope(1)


def test_a_slot_that_is_asked_for_again_and_again_is_never_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be idle for a moment, between a rejection and the renewal that follows."""
    monkeypatch.setattr(module, "_SMALLEST", 8)
    slots, scope = new_slots(idle=True), ClientScope(9999)
    slot = slots.find(9999, scope)
    for number in range(1, 1000):
        slots.find(number, ClientScope(number))
        assert slots.find(9999, scope) is slot


def test_threads_that_race_find_one_slot_while_tables_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two slots of one scope are two token requests."""
    monkeypatch.setattr(module, "_SMALLEST", 4)
    slots = new_slots(idle=True)
    found: list[list[Slot]] = []
    barrier = threading.Barrier(4)

    def find(first: int) -> None:
        mine: list[Slot] = []
        for number in range(300):
            barrier.wait()
            mine.append(slots.find(f"client:{number + 1}", ClientScope(number + 1)))
            other = 10_000 + 4 * number + first
            slots.find(other, ClientScope(other))
        found.append(mine)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=find, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert all(len(set(map(id, each))) == 1 for each in zip(*found, strict=True))


def test_a_hint_that_was_set_back_is_followed_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow reader may write an older table after a newer one."""
    monkeypatch.setattr(module, "_SMALLEST", 2)
    slots = new_slots(idle=False)
    first = slots.table
    for number in range(1, 20):
        slots.find(number, ClientScope(number))
    slot = slots.find(5, ClientScope(5))
    slots.table = first
    assert slots.find(5, ClientScope(5)) is slot
    slots.clear()
    assert slots.all() == set()
