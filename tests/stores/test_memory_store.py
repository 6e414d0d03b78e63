"""What holds for the token store of one process only; what every store keeps to is in `test_store_contract.py`."""

import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from daxko_auth.model.credentials import ApiCredentials
from daxko_auth.model.scope import ClientScope
from daxko_auth.model.secret import Secret
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.stores.memory_store import MemoryStore

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)
KEY = TokenKey("https://api.daxko.com", ApiCredentials("user", "canary-password", "canary.token"), ClientScope(9999))
OTHER_KEY = TokenKey(KEY.origin, KEY.credentials, ClientScope(1234))


def token(secret: str, minutes: int = 0, scope: int = 9999) -> AccessToken:
    """Return a token that ends so many minutes after noon."""
    return AccessToken(ClientScope(scope), Secret(f"canary-{secret}"), NOON + timedelta(minutes=minutes), 3_600)


def test_a_token_that_has_ended_is_kept_like_any_other() -> None:
    """Whether it is usable is the reader's question; a store has no clock."""
    store = MemoryStore()
    store.write(KEY, token("long ago", minutes=-1_000_000))
    assert store.read(KEY) == token("long ago")


@pytest.mark.parametrize("timeout", [0.05, 0.0, -0.5, -1])
def test_whoever_waits_too_long_goes_on_and_takes_no_turn_away(timeout: float) -> None:
    """Whoever holds the turn may be stuck; a wait of less than nothing is none, and not for ever."""
    store = MemoryStore()
    with store.turn(KEY, timeout=1):
        with store.turn(KEY, timeout=timeout):
            pass
        assert store._turns[KEY].locked()
        with store.turn(OTHER_KEY, timeout=0):
            assert store._turns[OTHER_KEY].locked()
    assert not store._turns[KEY].locked()


def test_a_turn_is_given_back_whatever_happens_in_it() -> None:
    """A renewal that fails must not block the next; a wait without end is one, too."""
    store = MemoryStore()
    with pytest.raises(ZeroDivisionError), store.turn(KEY, timeout=float("inf")):
        raise ZeroDivisionError
    with store.turn(KEY, timeout=0):
        assert store._turns[KEY].locked()


def test_a_child_process_keeps_the_tokens_and_none_of_the_locks() -> None:
    """A thread of the parent may hold one for ever, and does not exist in the child."""
    store = MemoryStore()
    store.write(KEY, token("a"))
    store._lock.acquire()
    store._turns[KEY].acquire()
    store.after_fork_in_child()
    assert store.read(KEY) == token("a")
    with store.turn(KEY, timeout=0):
        assert store._turns[KEY].locked()


IN_A_CHILD = """
import os, threading
from daxko_auth.stores.memory_store import MemoryStore

store, held, done = MemoryStore(), threading.Event(), threading.Event()

def hold():
    with store._lock:
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    os._exit(7 if store.read("key") is None else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_in_the_middle_of_a_write_does_not_hang_the_child() -> None:
    """With --preload, gunicorn forks whenever it likes."""
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", IN_A_CHILD], check=True, capture_output=True, text=True
    )
    assert ran.stdout.split() == ["7"]


def test_a_store_shows_how_many_and_no_token() -> None:
    """Stores are printed with the sources that hold them, and pickled by mistake."""
    store = MemoryStore()
    store.write(KEY, token("a"))
    store.write(OTHER_KEY, token("b", scope=1234))
    assert repr(store) == "<MemoryStore with 2 tokens>"
    with pytest.raises(TypeError):
        pickle.dumps(store)
