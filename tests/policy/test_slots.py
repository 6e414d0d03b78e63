"""The slots of a source: one for each scope, however many ask at once, and none that nobody needs any more."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from daxko_auth import ApiCredentials, ClientScope, TokenKey
from daxko_auth.policy import slots as module
from daxko_auth.policy.flight import Slot
from daxko_auth.policy.slots import Slots

CREDENTIALS = ApiCredentials("daxko_api_user", "a-password", "a-refresh-token")
SMALLEST = 8


@pytest.fixture(autouse=True)
def _small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SMALLEST", SMALLEST)


@pytest.fixture
def needed() -> set[int]:
    """Name the scopes whose slots have something to lose."""
    return set()


@pytest.fixture
def slots(needed: set[int]) -> Slots:
    """Give slots that are idle unless they are needed."""
    return Slots(_new, lambda slot: slot.key.scope.client_id not in needed)


def _new(scope: ClientScope) -> Slot:
    return Slot(TokenKey("https://api.daxko.com", CREDENTIALS, scope))


def _find(slots: Slots, number: int) -> Slot:
    return slots.find(number, ClientScope(number))


def _fill(slots: Slots, first: int, tables: int = 1) -> None:
    """Ask for other scopes until so many tables were filled."""
    for _ in range(tables):
        table = slots._newest()
        while slots._newest() is table:
            _find(slots, first)
            first += 1


def test_every_spelling_of_a_scope_finds_the_same_slot(slots: Slots) -> None:
    """Two slots of one scope would be two tokens, and a rejection of one that the other does not know."""
    slot = slots.find(9999, ClientScope(9999))

    assert slots.find("9999", ClientScope(9999)) is slot
    assert slots.find("client:9999", ClientScope(9999)) is slot
    assert slots.find(ClientScope(9999), ClientScope(9999)) is slot
    assert slots.all() == {slot}
    assert slots.table.young[9999] is slot, "the next caller finds it in one step"
    assert slots.find(1234, ClientScope(1234)) is not slot


def test_a_slot_that_is_asked_for_is_kept(slots: Slots) -> None:
    """Also one that is idle, as long as somebody comes in the life of each table."""
    slot = _find(slots, 1)
    for tables in range(5):
        _fill(slots, 100 * (tables + 1))
        assert _find(slots, 1) is slot


def test_an_idle_slot_that_nobody_asks_for_is_forgotten(slots: Slots) -> None:
    """A program that goes through a hundred thousand customers must not keep them all."""
    slot = _find(slots, 1)
    _fill(slots, 100)
    assert slot in slots.all()
    _fill(slots, 200)
    assert slot not in slots.all()
    assert _find(slots, 1) is not slot


def test_a_slot_with_something_to_lose_is_kept(slots: Slots, needed: set[int]) -> None:
    """A token, a failure, a renewal under way: whoever comes back later finds it, or would ask Daxko again."""
    needed.add(1)
    slot = _find(slots, 1)
    _fill(slots, 100, tables=4)
    assert _find(slots, 1) is slot

    needed.clear()
    _fill(slots, 1_000, tables=2)
    assert slot not in slots.all()


def test_tables_stay_small_where_all_slots_are_idle_and_grow_where_none_is(slots: Slots, needed: set[int]) -> None:
    """Memory is in proportion to what is needed; and a table is not full again at once."""
    for number in range(1, 200):
        _find(slots, number)
    assert len(slots.all()) <= 4 * SMALLEST

    needed.update(range(1_000, 1_100))
    kept = [_find(slots, number) for number in range(1_000, 1_100)]
    assert slots.all().issuperset(kept)
    table = slots._newest()
    assert table.limit > len(table.young)
    assert [_find(slots, number) for number in range(1_000, 1_100)] == kept


def test_a_slot_that_came_late_into_a_full_table_is_found_in_the_next(slots: Slots) -> None:
    """Another thread has looked up the table and is not there yet: nothing that it does is lost."""
    table = slots._newest()
    _fill(slots, 100)
    late = _new(ClientScope(1))
    table.young["client:1"] = late

    assert _find(slots, 1) is late


def test_a_table_that_is_replaced_while_somebody_looks_costs_one_more_look(slots: Slots) -> None:
    """A slot counts only where the newest table has it."""
    made: list[Slot] = []

    def new(scope: ClientScope) -> Slot:
        slot = _new(scope)
        if not made and scope.client_id == 1:
            made.append(slot)
            _fill(slots, 100, tables=2)
        return slot

    slots._make = new
    slot = _find(slots, 1)

    assert slots._newest().young["client:1"] is slot
    assert _find(slots, 1) is slot


def test_what_is_cleared_is_gone(slots: Slots) -> None:
    """A source that is closed keeps no token in memory."""
    _find(slots, 1)
    _fill(slots, 100)
    _find(slots, 2)
    slots.clear()

    assert slots.all() == set()


def test_finds_that_race_never_make_two_slots_of_one_scope(slots: Slots, needed: set[int]) -> None:
    """Whoever has something to lose has one slot, while tables roll over under those who look for it."""
    needed.update(range(1, 6))
    threads, found = 8, [set[Slot]() for _ in range(6)]
    start = threading.Barrier(threads)

    def ask(me: int) -> None:
        start.wait()
        for turn in range(300):
            for number in range(1, 6):
                found[number].add(_find(slots, number))
            # Another scope each time, so that a table is full every few turns.
            _find(slots, 1_000 * (me + 1) + turn)

    with ThreadPoolExecutor(threads) as pool:
        for run in [pool.submit(ask, me) for me in range(threads)]:
            run.result()

    assert [len(each) for each in found] == [0, 1, 1, 1, 1, 1]
