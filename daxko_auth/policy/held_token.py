"""
A token as one process holds it: with the instants at which it turns stale and dead.
"""

from attrs import frozen

from daxko_auth.model.tokens import AccessToken, early_expiry_of
from daxko_auth.policy.clock import Clock
from daxko_auth.policy.renewal_policy import RenewalPolicy


@frozen
class HeldToken:
    """
    Immutable, so that readers need no lock.

    Each instant stands on both clocks and comes when the first of them reaches it: wall time runs on
    while a laptop sleeps, monotonic time cannot be set back.
    """

    token: AccessToken
    stale_at_wall: float
    stale_at_monotonic: float
    dead_at_wall: float
    dead_at_monotonic: float

    @classmethod
    def of(cls, token: AccessToken, policy: RenewalPolicy, *, wall: float, monotonic: float) -> "HeldToken":
        """`wall` and `monotonic` are two readings of the same moment, at which the token was asked for or found."""
        life = float(token.expires_in)
        end = token.expires_at.timestamp()
        # A clock that was set back since a stored token was asked for does not lengthen its life.
        left = min(end - wall, life)
        dead = left - early_expiry_of(life, policy.early_expiry)
        # What is fresh is handed out without another look; a policy may renew as late as it likes, but not too late.
        stale = min(left - (life - policy.renewal_age(life)), dead)
        return cls(token, wall + stale, monotonic + stale, wall + dead, monotonic + dead)

    def is_fresh(self, clock: Clock) -> bool:
        """Whether nothing needs to be done."""
        return clock.wall() < self.stale_at_wall and clock.monotonic() < self.stale_at_monotonic

    def is_usable(self, clock: Clock) -> bool:
        """Whether it may still be handed out."""
        return clock.wall() < self.dead_at_wall and clock.monotonic() < self.dead_at_monotonic
