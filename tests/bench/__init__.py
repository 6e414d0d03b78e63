"""
Measures the library beside others that fetch tokens, in one run, one after another.

Contestants take turns, so that a busy moment of the machine hits all of them; of many rounds the median counts, and
the middle half says how far to trust it. `scripts/bench` says how to call it.
"""

import sys

# Authlib takes it in place of httpx where it finds it; all are measured with the same one.
sys.modules["httpx2"] = None  # type: ignore[assignment]
