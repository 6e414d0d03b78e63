"""
Tokens kept in a Redis (or a Valkey) that many machines share: one server, sentinels or a cluster.

Two keys for each token, `daxko_auth:{...}:token` and `daxko_auth:{...}:turn`, in one slot of a cluster, and each
with an end. The entry is encrypted, so whether it is older is judged here, and it is replaced only if it still is what
was judged. Whatever else is in one of the keys counts as nothing, and is replaced. An error means the Redis: every step
is bounded in time and raises a `TokenStoreError` that holds no password.
"""

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from random import SystemRandom
from secrets import token_hex
from typing import Final, NoReturn, TypeVar

from daxko_auth.model.errors import TokenStoreError
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.log import WarningThrottle, warn
from daxko_auth.model.token_key import TokenKey
from daxko_auth.model.tokens import AccessToken
from daxko_auth.stores.redis_access import RedisAccess, RedisClient
from daxko_auth.stores.redis_connection import RedisConnection, Send
from daxko_auth.stores.sealing import LARGEST_ENTRY, entry_name, sealed, unsealed

_Result = TypeVar("_Result")

# Of `timeout`: how long a turn lasts at most, so that whoever waits for somebody who was killed has time left to take
# it; and how long is waited at least, by lot, so that those who give up do not all ask Daxko at once.
_LIFE_OF_TURN: Final = 2 / 3
_LEAST_WAIT: Final = 5 / 6
# Seconds. A turn of less would end while a token is asked for; one of more would be in the way of a day's work.
_SHORTEST_TURN, _LONGEST_TURN = 1.0, 60.0
# Seconds between two looks at a turn that somebody else has: the first, and the growth to a share of `timeout`.
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.05, 1.5, 1 / 40
# Seconds, by lot, that a Redis which has answered before may be away while somebody waits: a restart goes
# unnoticed, and after more than that the waiters do not all ask Daxko at once.
_SHORTEST_ABSENCE, _LONGEST_ABSENCE = 1.0, 3.0
_RANDOM: Final = SystemRandom()

# Bytes of the owner of a turn, in hexadecimal digits twice as many. Anything of another length is no turn.
_OWNER: Final = 16
# What is in a key, '' for nothing. What is of another type, or too long to be sent to anybody, is a '?': it opens for
# nobody, and may be replaced.
_KEPT: Final = f"""
local function kept_in(key)
    local kept = redis.pcall('GET', key)
    if type(kept) == 'table' then
        if not string.find(kept.err, 'WRONGTYPE', 1, true) then redis.call('GET', key) end
        return '?'
    end
    if kept and #kept > {LARGEST_ENTRY} then return '?' end
    return kept or ''
end
"""
# KEYS: entry.
_READ: Final = f"""{_KEPT}
return kept_in(KEYS[1])
"""
# KEYS: entry, turn. ARGV: who asks, the life of a turn in ms and, but for the first time, the mark of the entry then.
# An entry's last 16 bytes are its authentication tag: no two are the same. None at all is no sign of a renewal.
# A turn without an end, or with one that no turn has, is a copy that a dump or a migration has left: it is no turn. A
# user who may not ask for the end, which older versions did not, takes any for a turn.
_ASK_FOR_TURN: Final = f"""{_KEPT}
local mark = string.sub(kept_in(KEYS[1]), -16)
if ARGV[3] and mark ~= '' and mark ~= ARGV[3] then return {{'renewed', mark}} end
local owner = kept_in(KEYS[2])
if owner == ARGV[1] then return {{'yours', mark}} end
if #owner == {2 * _OWNER} then
    local left = redis.pcall('PTTL', KEYS[2])
    if type(left) == 'table' or (left >= 0 and left <= {round(_LONGEST_TURN * 1_000)}) then return {{'wait', mark}} end
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {{'yours', mark}}
"""
# KEYS: turn. ARGV: whose it was.
_GIVE_TURN_BACK: Final = f"""{_KEPT}
if kept_in(KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""
# KEYS: entry. ARGV: what it was, or nothing; what it becomes, or nothing; its life in ms. Returns what it is instead.
_REPLACE: Final = f"""{_KEPT}
local kept = kept_in(KEYS[1])
if kept ~= ARGV[1] then return kept end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
"""


class RedisStore:
    """Shares tokens between all processes that reach one Redis."""

    @hides_locals
    def __init__(self, url: str | RedisClient) -> None:
        """
        Prepare; nothing is connected before the first use.

        Args:
            url: What `redis.Redis.from_url` takes: `redis://user:password@host:6379/0`, `rediss://...` for TLS,
                `unix:///path?db=0`, with the same options; Celery's `redis+socket:///path`, too. Timeouts, retries,
                `decode_responses` and `protocol` are set here, whatever the URL says. TLS always checks the server:
                `ssl_cert_reqs` other than `required` is refused.
                Or a client that the program made, for sentinels, a cluster, or settings that no URL has:
                a `redis.Redis` or `redis.RedisCluster` with a `socket_timeout` and without `decode_responses`. It
                stays the program's, which closes it.

        Raises:
            TokenStoreError: `url` is neither, or not safe to use.
        """
        access = RedisAccess.of(url)
        if isinstance(access, str):
            raise TokenStoreError(f"token store: {access}")
        self._access = access
        self._corrupt = WarningThrottle()

    @hides_locals
    def read(self, key: TokenKey) -> AccessToken | None:
        """Return the token kept for `key`, usable or not."""
        name, _ = _names(key)
        entry = self._once(lambda send: _kept(send, name))
        token = unsealed(key, entry)
        if entry and token is None:
            self._warn(key)
        return token

    @hides_locals
    def write(self, key: TokenKey, token: AccessToken) -> None:
        """Keep `token` for as long as its whole life, unless one that ends later is kept already."""
        entry, life = sealed(key, token), max(token.expires_in * 1_000, 1)

        def is_older(kept: AccessToken | None) -> bool:
            return kept is None or kept.expires_at <= token.expires_at

        self._replace(key, is_older, entry, life)

    @hides_locals
    def drop(self, key: TokenKey, token: AccessToken) -> None:
        """Forget exactly this token, not its successor."""
        self._replace(key, lambda kept: kept == token, b"", 0)

    @contextmanager
    def turn(self, key: TokenKey, timeout: float) -> Generator[None, None, None]:
        """
        Wait up to `timeout` seconds until nobody else renews this token, then go on in any case.

        Ends early, without the turn, when somebody has renewed it meanwhile. A turn ends by itself before `timeout`,
        whatever becomes of its holder; to lose it is harmless.
        """
        owner = token_hex(_OWNER)
        mine = self._wait_for_turn(_names(key), owner, timeout)
        try:
            yield
        finally:
            if mine:
                # It ends by itself as well.
                with suppress(TokenStoreError):
                    self._once(lambda send: send("EVAL", _GIVE_TURN_BACK, 1, _names(key)[1], owner))

    def _wait_for_turn(self, names: tuple[str, str], owner: str, timeout: float) -> bool:
        life = min(max(timeout * _LIFE_OF_TURN, _SHORTEST_TURN), _LONGEST_TURN)
        ask: list[str | bytes | int] = ["EVAL", _ASK_FOR_TURN, 2, *names, owner, round(life * 1_000)]
        until = time.monotonic() + timeout * _RANDOM.uniform(_LEAST_WAIT, 1)
        absence = _RANDOM.uniform(_SHORTEST_ABSENCE, _LONGEST_ABSENCE)
        pause = _FIRST_PAUSE
        heard_at: float | None = None
        with ExitStack() as connections:
            connection = connections.enter_context(RedisConnection(self._access))
            while True:
                try:
                    said, mark = connection.do(lambda send: _said_and_mark(send(*ask)))
                except TokenStoreError:
                    if heard_at is None or time.monotonic() - heard_at > absence:
                        raise
                    connection = connections.enter_context(RedisConnection(self._access))
                else:
                    if said != b"wait":
                        return said == b"yours"
                    if heard_at is None:
                        ask.append(mark)
                    heard_at = time.monotonic()
                wait = min(pause * _RANDOM.uniform(0.5, 1), until - time.monotonic())
                if wait <= 0:
                    return False
                time.sleep(wait)
                pause = min(pause * _GROWTH, max(timeout * _LONGEST_PAUSE, _FIRST_PAUSE), 1.0)

    def _replace(self, key: TokenKey, judge: Callable[[AccessToken | None], bool], entry: bytes, life: int) -> None:
        name, _ = _names(key)

        def step(send: Send) -> bool:
            unreadable = False
            kept: bytes | None = _kept(send, name)
            # Whenever it is another by then, somebody has replaced it, and that is judged again.
            while kept is not None:
                token = unsealed(key, kept)
                unreadable |= bool(kept) and token is None
                if not judge(token):
                    break
                kept = _bytes_or_none(send("EVAL", _REPLACE, 1, name, kept, entry, life))
            return unreadable

        if self._once(step):
            self._warn(key)

    def _warn(self, key: TokenKey) -> None:
        # Never within a step: what a log handler takes would be taken from its time.
        warn(
            "token store: the entry for %s at %s cannot be read; it is passed over and replaced",
            key.scope,
            self._access.name,
            level=self._corrupt.level(time.monotonic()),
        )

    def _once(self, step: Callable[[Send], _Result]) -> _Result:
        with RedisConnection(self._access) as connection:
            return connection.do(step)

    def __reduce__(self) -> NoReturn:
        msg = (
            "a RedisStore may hold a password and is neither pickled nor copied; in another process make one, from the "
            "URL in its own settings"
        )
        raise TypeError(msg)

    def __repr__(self) -> str:
        return f"<RedisStore at {self._access.name}>"


def _names(key: TokenKey) -> tuple[str, str]:
    # The braces put both into one slot of a cluster.
    name = entry_name(key)
    return f"daxko_auth:{{{name}}}:token", f"daxko_auth:{{{name}}}:turn"


def _kept(send: Send, name: str) -> bytes:
    return _bytes_or_none(send("EVAL", _READ, 1, name)) or b""


def _bytes_or_none(answer: object) -> bytes | None:
    if answer is None or isinstance(answer, bytes):
        return answer
    raise TypeError


def _said_and_mark(answer: object) -> tuple[bytes, bytes]:
    match answer:
        case [bytes() as said, bytes() as mark]:
            return said, mark
        case _:
            raise TypeError
