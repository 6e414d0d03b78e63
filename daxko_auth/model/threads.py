"""
How this library starts a thread.
"""

import _thread
import sys
import threading
from collections.abc import Callable


def start_thread(run: Callable[[], None], name: str) -> None:
    """
    Run `run` on a daemon thread.

    Raises:
        RuntimeError: none can be started: a limit is reached, this interpreter allows none, or Python is shutting down.
    """
    if sys.is_finalizing():
        # Python 3.11 starts it, and never runs it.
        raise RuntimeError("Python is shutting down")
    # In one call of C code. `threading.Thread.start` takes a lock of its module and waits: a signal handler that came
    # in the middle of it, and started a thread itself, could wait for ever.
    _thread.start_new_thread(_name_and_run, (run, name))


def _name_and_run(run: Callable[[], None], name: str) -> None:
    # For logs, debuggers and `threading.enumerate`, which know no thread that `threading` has not started.
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:
        run()
