"""
What every store keeps to, so that a program can change from one to another.

A store is looked at through views: each is what another process would have, where processes can share it.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keeping import KEY, OTHERS, PASSWORD, REFRESH_TOKEN, key, token, whole
from support import PATIENCE

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    FileStore,
    MemoryStore,
    RedisStore,
    TokenKey,
    TokenSource,
    TokenStore,
)
from daxko_auth.sandbox import Sandbox

View = Callable[[], TokenStore]


@pytest.fixture(params=["MemoryStore", "FileStore", "RedisStore", "RedisStore of a client"])
def view(request: pytest.FixtureRequest) -> View:
    """Return what makes a view of one empty store of each kind."""
    if request.param == "FileStore":
        folder = request.getfixturevalue("tmp_path") / "tokens"
        return lambda: FileStore(folder)
    if request.param == "RedisStore":
        url = request.getfixturevalue("shared_redis").url
        return lambda: RedisStore(url)
    if request.param == "RedisStore of a client":
        port = request.getfixturevalue("shared_redis").port
        client = redis.Redis(port=port, socket_timeout=PATIENCE)
        request.addfinalizer(client.close)  # noqa: PT021 - not every kind of store has one
        return lambda: RedisStore(client)
    store = MemoryStore()
    return lambda: store


class TestEveryStore:
    """One set of promises for all of them."""

    def test_what_is_written_is_read_whole_by_everybody_who_shares_it(self, view: View) -> None:
        """Its end and its life too: by them it is renewed."""
        writer, reader = view(), view()
        assert reader.read(KEY) is None
        writer.write(KEY, token("a"))
        assert whole(reader.read(KEY)) == whole(writer.read(KEY)) == whole(token("a"))

    @pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
    def test_nobody_reads_drops_or_replaces_anothers_token(self, view: View, other: TokenKey) -> None:
        """One customer's token is never another's; nor that of an account whose password was changed."""
        store = view()
        store.write(KEY, token("a"))
        assert store.read(other) is None
        store.drop(other, token("a"))
        store.write(other, token("b", minutes=9, scope=other.scope.client_id))
        assert (store.read(KEY), store.read(other)) == (token("a"), token("b", scope=other.scope.client_id))

    @pytest.mark.parametrize(
        ("first", "second", "kept"),
        [
            (token("a", 0), token("b", 1), token("b", 1)),
            (token("a", 1), token("b", 0), token("a", 1)),
            (token("a", 0), token("b", 0), token("b", 0)),
        ],
        ids=["newer", "older", "equal"],
    )
    def test_an_older_token_never_replaces_a_newer_one(
        self, view: View, first: AccessToken, second: AccessToken, kept: AccessToken
    ) -> None:
        """A slow renewal that lost its turn must not undo a quick one."""
        view().write(KEY, first)
        view().write(KEY, second)
        assert whole(view().read(KEY)) == whole(kept)

    def test_of_writes_at_the_same_moment_the_one_that_ends_last_stays(self, view: View) -> None:
        """Comparing and writing are one step, or the older of two slips in between."""
        tokens = [token(str(number), minutes=number) for number in range(48)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda each: view().write(KEY, each), tokens[::2] + tokens[::-2]))
        assert view().read(KEY) == tokens[-1]

    def test_exactly_the_refused_token_is_dropped_for_everybody_and_not_its_successor(self, view: View) -> None:
        """A late 401 for the old token must not cost the new one."""
        one, other = view(), view()
        one.drop(KEY, token("a"))
        one.write(KEY, token("b"))
        one.drop(KEY, token("a"))
        assert other.read(KEY) == token("b")
        other.drop(KEY, token("b", minutes=9))
        assert one.read(KEY) is None
        one.write(KEY, token("c", minutes=-9))
        assert other.read(KEY) == token("c"), "what was dropped is not compared with"

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.tuples(st.sampled_from(["write", "drop"]), st.sampled_from("abc"), st.integers(0, 3), st.booleans()),
            max_size=12,
        )
    )
    def test_it_is_like_a_dictionary_that_looks_at_the_ends(
        self, view: View, steps: list[tuple[str, str, int, bool]]
    ) -> None:
        """Whatever the order of things, and through whichever view."""
        views = [view(), view()]
        for name in "abc":  # what the example before has left
            views[0].drop(KEY, token(name))
        model: AccessToken | None = None
        for what, name, minutes, which in steps:
            given_token = token(name, minutes)
            getattr(views[which], what)(KEY, given_token)
            if what == "drop":
                model = None if model == given_token else model
            elif model is None or model.expires_at <= given_token.expires_at:
                model = given_token
            assert whole(views[not which].read(KEY)) == whole(model)

    def test_only_one_has_the_turn_for_a_token_at_a_time(self, view: View) -> None:
        """Those who share a store renew one after the other, and the second finds the first one's token."""
        inside, most = [0], [0]

        def renew(store: TokenStore) -> None:
            for _ in range(10):
                with store.turn(KEY, timeout=PATIENCE):
                    inside[0] += 1
                    time.sleep(0)  # let the others in, if they can
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(renew, [view() for _ in range(6)]))
        assert most == [1]

    @pytest.mark.parametrize("timeout", [0.05, 0.0, -0.5, -1])
    def test_whoever_waits_too_long_goes_on_and_takes_no_turn_away(self, view: View, timeout: float) -> None:
        """Whoever holds the turn may be stuck; a wait of less than nothing is none, and not for ever."""
        entered = threading.Event()

        def wait() -> None:
            with view().turn(KEY, timeout=PATIENCE):
                entered.set()

        waiting = threading.Thread(target=wait, daemon=True)
        # In Redis that is a turn of a minute, and there is no longer one.
        with view().turn(KEY, timeout=90):
            with view().turn(KEY, timeout=timeout):
                pass
            waiting.start()
            # Nothing tells that it still waits. On a slow machine it may not even have begun, which is no failure.
            assert not entered.wait(0.1), "the turn is still ours"
        waiting.join()
        assert entered.is_set()

    def test_the_turn_of_one_token_is_not_that_of_another(self, view: View) -> None:
        """Five hundred customers are renewed side by side."""
        entered = threading.Event()

        def wait() -> None:
            with view().turn(key(scope=1234), timeout=PATIENCE):
                entered.set()

        waiting = threading.Thread(target=wait, daemon=True)
        with view().turn(KEY, timeout=90):
            waiting.start()
            entered.wait()
        waiting.join()

    def test_a_turn_is_given_back_whatever_happens_in_it(self, view: View) -> None:
        """A renewal that fails must not block the next; a wait without end is one, too."""
        with pytest.raises(ZeroDivisionError), view().turn(KEY, timeout=float("inf")):
            raise ZeroDivisionError
        with pytest.raises(OSError, match="of the caller"), view().turn(KEY, timeout=0):
            raise OSError("of the caller")
        self.test_only_one_has_the_turn_for_a_token_at_a_time(view)

    def test_reading_writing_and_dropping_wait_for_no_turn(self, view: View) -> None:
        """Whoever has the turn reads and writes in it; whoever lost its lock writes, too."""
        with view().turn(KEY, timeout=0), view().turn(KEY, timeout=0):
            view().write(KEY, token("a"))
            assert view().read(KEY) == token("a")
            view().drop(KEY, token("a"))
            assert view().read(KEY) is None

    def test_a_store_shows_no_secret(self, view: View) -> None:
        """Stores are printed with the sources that hold them."""
        store = view()
        store.write(KEY, token("a"))
        shown = f"{store!r} {store} {vars(store)!r}"
        assert type(store).__name__ in shown
        for secret in (PASSWORD, REFRESH_TOKEN, token("a").reveal()):
            assert secret not in shown

    def test_sources_that_share_it_ask_once(self, view: View, sandbox: Sandbox, credentials: ApiCredentials) -> None:
        """What a store is for, cold and after a rejection."""
        with (
            TokenSource(credentials, sandbox.base_url, store=view()) as one,
            TokenSource(credentials, sandbox.base_url, store=view()) as other,
        ):
            sandbox.hold()
            with ThreadPoolExecutor(2) as pool:
                tokens = [pool.submit(source.token, 9999) for source in (one, other)]
                sandbox.wait_for_token_requests(1)
                sandbox.release()
                refused = tokens[0].result()
                assert tokens[1].result() == refused
            for source in (one, other):
                source.reject(refused)
            assert one.token(9999) == other.token(9999) != refused
        assert sandbox.token_requests() == 2
