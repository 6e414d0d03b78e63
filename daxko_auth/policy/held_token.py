"""
A token as one process holds it: with the instants at which it turns stale and dead.
"""

from daxko_auth.model.tokens import AccessToken, early_expiry_of
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.renewal_policy import RenewalPolicy


class HeldToken:
    """
    Replaced whole, so that readers need no lock; it changes only for the worse, in one step.

    Each instant stands on both clocks and comes when the first of them reaches it: wall time runs on
    while a laptop sleeps, monotonic time cannot be set back.
    """

    __slots__ = (
        "asked_at",
        "dead_at_monotonic",
        "dead_at_wall",
        "rejected_at",
        "stale_at_monotonic",
        "stale_at_wall",
        "token",
    )

    def __init__(self, token: AccessToken, policy: RenewalPolicy, *, wall: float, monotonic: float) -> None:
        """`wall` and `monotonic` are two readings of the same moment, at which the token was asked for or found."""
        life = float(token.expires_in)
        end = token.expires_at.timestamp()
        # A clock that was set back since a stored token was asked for does not lengthen its life.
        left = min(end - wall, life)
        dead = left - early_expiry_of(life, policy.early_expiry)
        # What is fresh is handed out without another look; a policy may renew as late as it likes, but not too late.
        stale = min(left - (life - policy.renewal_age(life)), dead)
        self.token = token
        self.stale_at_wall, self.stale_at_monotonic = wall + stale, monotonic + stale
        self.dead_at_wall, self.dead_at_monotonic = wall + dead, monotonic + dead
        #: When it was asked for, by this process or by another (monotonic).
        self.asked_at = monotonic - (life - left)
        #: When a server refused it for the first time (monotonic), or None.
        self.rejected_at: float | None = None

    def is_fresh(self, clock: Clock) -> bool:
        """Whether nothing needs to be done."""
        return clock.wall() < self.stale_at_wall and clock.monotonic() < self.stale_at_monotonic

    def is_usable(self, clock: Clock) -> bool:
        """Whether it may still be handed out."""
        return (
            self.rejected_at is None and clock.wall() < self.dead_at_wall and clock.monotonic() < self.dead_at_monotonic
        )

    def doubt(self) -> None:
        """Count it as stale from now on."""
        self.stale_at_wall = float("-inf")

    def reject(self, now: float) -> None:
        """Never hand it out again. Of several times, the first counts."""
        # Stale first, because what is fresh is handed out without a look at `rejected_at`.
        self.doubt()
        if self.rejected_at is None:
            self.rejected_at = now

    def __repr__(self) -> str:
        return f"<held {self.token!r}>"
