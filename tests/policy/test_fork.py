"""After `os.fork`: what a child process of a prefork server starts with."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from support import eventually, in_child

from daxko_auth import (
    TokenRequestError,
    TokenSource,
)
from daxko_auth.sandbox import Sandbox


def test_a_child_process_keeps_the_tokens_and_asks_for_none(sandbox: Sandbox, source: TokenSource) -> None:
    """`gunicorn --preload`: what the parent has asked for is good in every worker."""
    token = source.token(9999)

    assert in_child(lambda: source.token(9999) == token)
    assert sandbox.token_requests() == 1


def test_a_child_forked_during_a_renewal_asks_for_itself(sandbox: Sandbox, source: TokenSource) -> None:
    """The parent's thread does not exist in the child; waiting for it would be for ever."""
    over = threading.Event()

    def release_when_the_child_asks() -> None:
        eventually(lambda: sandbox.token_requests() == 2 or over.is_set())
        sandbox.release()

    sandbox.hold()
    # Let go before the threads are waited for, whatever happens.
    with ThreadPoolExecutor(2) as pool, ExitStack() as last:
        last.callback(over.set)
        waiting = pool.submit(source.token, 9999)
        sandbox.wait_for_token_requests(1)
        pool.submit(release_when_the_child_asks)
        assert in_child(lambda: source.token(9999).scope.client_id == 9999)
        assert waiting.result()
    assert sandbox.token_requests() == 2


def test_a_child_of_a_closed_source_has_a_closed_source(source: TokenSource) -> None:
    """Closing is final, in every copy."""
    source.close()

    def is_closed() -> bool:
        try:
            source.token(9999)
        except TokenRequestError:
            return True
        return False

    assert in_child(is_closed)
