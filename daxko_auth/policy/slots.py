"""
The slots of a source, by scope, without those that nobody needs any more.
"""

from collections.abc import Callable
from typing import Final

from daxko_auth.model.scope import Scope, ScopeLike
from daxko_auth.policy.flight import Slot

# How many entries a table takes before the next begins.
_SMALLEST: Final = 1_024


class Table:
    """One slot under every spelling of its scope that was used."""

    __slots__ = ("limit", "next", "old", "young")

    def __init__(self, old: dict[ScopeLike, Slot], needed: int = 0) -> None:
        self.young: dict[ScopeLike, Slot] = {}
        #: What the table before it holds: the same dictionary, so that nothing is lost that comes late.
        self.old = old
        # Not twice all that was there: then the tables would grow with every scope that was ever asked for.
        self.limit = max(_SMALLEST, 2 * needed)
        #: The table that follows, there once this one is full.
        self.next: dict[str, Table] = {}


class Slots:
    """
    Finds the one slot of a scope, or makes it.

    When a table is full, another begins, into which whatever is asked for again is taken over. What was not asked for
    in the life of a whole table, and has nothing to lose, is forgotten with it. Nothing is locked: a slot counts only
    once it is in the newest table, and there one `dict.setdefault` decides which of two it is.
    """

    __slots__ = ("_is_idle", "_make", "table")

    def __init__(self, make: Callable[[Scope], Slot], is_idle: Callable[[Slot], bool]) -> None:
        self._make = make
        self._is_idle = is_idle
        #: A hint: the newest table, or one before it.
        self.table = Table({})

    def find(self, scope: ScopeLike, parsed: Scope) -> Slot:
        """Return the slot of `parsed`, which was spelt `scope`."""
        while True:
            table = self._newest()
            # By a string, whose hash and equality are C code: only then is `setdefault` one step.
            slot = table.young.setdefault(parsed.wire, table.old.get(parsed.wire) or self._make(parsed))
            if len(table.young) >= table.limit:
                self._begin_another(table)
            if self._newest() is table:
                table.young[scope] = slot
                return slot

    def all(self) -> set[Slot]:
        """Return every slot."""
        table = self._newest()
        return {*table.young.copy().values(), *table.old.copy().values()}

    def clear(self) -> None:
        """Forget them all."""
        for table in (self.table, self._newest()):
            table.young.clear()
            table.old.clear()

    def _newest(self) -> Table:
        table = self.table
        while (following := table.next.get("")) is not None:
            self.table = table = following
        return table

    def _begin_another(self, table: Table) -> None:
        for slot in set(table.old.copy().values()):
            if not self._is_idle(slot):
                table.young.setdefault(slot.key.scope.wire, slot)
        needed = sum(not self._is_idle(slot) for slot in table.young.copy().values())
        table.next.setdefault("", Table(table.young, needed))
