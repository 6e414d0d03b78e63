"""The last line of a run: what passed, and what was skipped and why."""

from collections import Counter
from typing import Any, Final

_COUNTED: Final = {"failed": "failed", "error": "errors", "skipped": "skipped"}


def of(reporter: Any) -> str:
    """Return it, for what pytest's terminal reporter has counted."""
    found = {outcome: reporter.getreports(outcome) for outcome in ("passed", *_COUNTED)}
    counts = [f"{len(found[outcome]):,} {word}" for outcome, word in _COUNTED.items() if found[outcome]]
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in found["skipped"])
    why = "; ".join(f"{number:,} {reason}" for reason, number in reasons.most_common())
    line = ", ".join([f"{len(found['passed']):,} passed", *counts])
    return f"{line} ({why})" if why else line
