"""The life of a token, against a model of a dozen lines: whatever happens, in whatever order."""

from datetime import timedelta

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from support import FakeClock, finish_renewals, held_by

from daxko_auth import (
    AccessToken,
    ApiCredentials,
    ClientScope,
    MemoryStore,
    Secret,
    TokenEndpointUnavailable,
    TokenRefused,
    TokenRequestError,
    TokenSource,
)
from daxko_auth.wire.token_response import utc

LIFE = 1_000
SCOPES = st.sampled_from([9999, 1234])


class Vendor:
    """Issues tokens, or fails as it is told; remembers what it did."""

    def __init__(self) -> None:
        self.issued: dict[AccessToken, tuple[float, float]] = {}
        self.requests: list[tuple[float, ClientScope]] = []
        self.failures: list[TokenRequestError] = []
        self.clock = FakeClock()

    def request(self, scope: ClientScope, *, sent_at: float, timeout: float) -> AccessToken | TokenRequestError:
        """Answer one token request."""
        self.requests.append((self.clock.monotonic(), scope))
        if self.failures:
            return self.failures.pop(0)
        expires_at = utc(sent_at) + timedelta(seconds=LIFE)
        token = AccessToken(scope, Secret(f"token-{len(self.issued)}"), expires_at, LIFE)
        self.issued[token] = (self.clock.wall(), self.clock.monotonic())
        return token


class TokenLife(RuleBasedStateMachine):
    """Callers, clocks, failures and rejections, interleaved at random."""

    handed_out = Bundle("handed_out")

    @initialize()
    def begin(self) -> None:
        """Start with nothing held."""
        self.vendor = Vendor()
        self.clock = self.vendor.clock
        self.source = TokenSource(
            ApiCredentials("u", "p", "r"), "https://api.daxko.com", clock=self.clock, store=MemoryStore()
        )
        self.source._renewal = evolve(self.source._renewal, exchange=self.vendor)
        self.rejected: set[AccessToken] = set()
        self.held: dict[int, AccessToken] = {}

    @rule(target=handed_out, scope=SCOPES)
    def ask(self, scope: int) -> AccessToken | None:
        """Ask: a caller gets a token that is neither dead nor rejected, or a typed error."""
        before = len(self.vendor.requests)
        held = self.held.get(scope)
        usable = held is not None and held not in self.rejected and self._age(held) < LIFE - 60
        try:
            token = self.source.token(scope)
        except TokenRequestError:
            assert not usable, "a usable token at hand, and the caller got an error"
            finish_renewals(self.source)
            return None
        assert token.scope.client_id == scope
        assert token not in self.rejected
        assert self._age(token) < LIFE - 60
        if usable:
            assert token == held, "nobody is switched to another token without need"
        if usable and self._age(held) < LIFE * 0.70:
            finish_renewals(self.source)
            assert len(self.vendor.requests) == before, "a fresh token costs nothing"
        finish_renewals(self.source)
        current = held_by(self.source, scope)
        assert current is not None
        self.held[scope] = current.token
        return token

    @rule(token=handed_out)
    def reject(self, token: AccessToken | None) -> None:
        """Refuse this very token, now or long after it was handed out."""
        if token is not None:
            self.source.reject(token)
            self.rejected.add(token)

    @rule(token=handed_out)
    def answer_a_401(self, token: AccessToken | None) -> None:
        """Refuse a call: what it is replayed with is never the token that was refused."""
        if token is None:
            return
        self.rejected.add(token)
        try:
            replacement = self.source.replacement_for(token)
        except TokenRequestError:
            return
        finally:
            finish_renewals(self.source)
        assert replacement is None or replacement not in self.rejected
        if replacement is None and self._still_held(token):
            self.rejected.discard(token)  # a hold: the 401 is handed over, and the token stays in use
        current = held_by(self.source, token.scope.client_id)
        if current is not None:
            self.held[token.scope.client_id] = current.token

    @rule(token=handed_out)
    def be_refused_again(self, token: AccessToken | None) -> None:
        """Refuse the replay as well."""
        if token is not None:
            self.source.replacement_refused(token)
            if not self._still_held(token):
                self.rejected.add(token)

    @rule(seconds=st.sampled_from([0.5, 1, 5, 31, 200, 300, 700, 2_000]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.pass_time(seconds)

    @rule(seconds=st.sampled_from([-5_000, -100, 100, 800]))
    def set_the_clock(self, seconds: float) -> None:
        """Somebody sets the wall clock, or the machine sleeps."""
        self.clock.set_wall(seconds)

    @rule(count=st.integers(1, 6), refused=st.booleans())
    def fail(self, count: int, refused: bool) -> None:
        """Let the endpoint be down for a while, or refuse."""
        error = TokenRefused("no") if refused else TokenEndpointUnavailable("down", retryable=True)
        self.vendor.failures = [error] * count

    @invariant()
    def asks_within_its_budget(self) -> None:
        """No more than four requests a second for a scope, whatever happens."""
        for scope in (9999, 1234):
            times = [at for at, asked in getattr(self, "vendor", Vendor()).requests if asked.client_id == scope]
            issued = [token for token in self.vendor.issued if token.scope.client_id == scope] if times else []
            allowed = 4 * (1 + len(self.rejected) + len(issued) + int(times[-1] - times[0])) if times else 0
            assert len(times) <= allowed

    def _age(self, token: AccessToken) -> float:
        """Return the age by the clock that makes it older."""
        wall, monotonic = self.vendor.issued[token]
        return max(self.clock.wall() - wall, self.clock.monotonic() - monotonic)

    def _still_held(self, token: AccessToken) -> bool:
        held = held_by(self.source, token.scope.client_id)
        return held is not None and held.rejected_at is None and held.token == token


TestTokenLife = TokenLife.TestCase
TestTokenLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
