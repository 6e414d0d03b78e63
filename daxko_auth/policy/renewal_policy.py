"""
The numbers of the policy, and what follows from them. All times are in seconds.
"""

from random import SystemRandom
from typing import Any, Final

from attrs import Attribute, field, frozen

from daxko_auth.model.errors import REFUSALS, TokenRefused, TokenRequestError
from daxko_auth.model.hidden_locals import hides_locals
from daxko_auth.model.tokens import EARLY_EXPIRY

# Draws from the system, so that forked workers do not all draw the same numbers.
_RANDOM: Final = SystemRandom()
# Seconds, about a month: far more than anybody needs, and less than makes a lock or a date overflow.
_LONGEST: Final = 31 * 86_400.0


def _is_number(value: object) -> bool:
    # True is an int to Python, and nobody's number of seconds.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    # What is no number may be anything: a secret in the wrong place, too.
    return repr(value) if _is_number(value) else f"of type {type(value).__name__}"


def _positive(_: object, attribute: "Attribute[Any]", value: float) -> None:
    if not _is_number(value) or not 0 < value <= _LONGEST:
        msg = f"RenewalPolicy.{attribute.name} is {_shown(value)}; pass a number of seconds above zero, a month at most"
        raise ValueError(msg)


def _seconds(_: object, attribute: "Attribute[Any]", value: float) -> None:
    if not _is_number(value) or not 0 <= value <= _LONGEST:
        msg = f"RenewalPolicy.{attribute.name} is {_shown(value)}; pass a number of seconds, from 0 to a month"
        raise ValueError(msg)


def _count(_: object, attribute: "Attribute[Any]", value: int) -> None:
    if type(value) is not int or value < 1:
        msg = f"RenewalPolicy.{attribute.name} is {_shown(value)}; pass a whole number above zero"
        raise ValueError(msg)


def _share(_: object, attribute: "Attribute[Any]", value: float) -> None:
    if not _is_number(value) or not 0 <= value <= 1:
        msg = f"RenewalPolicy.{attribute.name} is {_shown(value)}; pass a share of a token's life, from 0 to 1"
        raise ValueError(msg)


@hides_locals
@frozen(kw_only=True)
class RenewalPolicy:
    """When to renew, how often to try, and how long to remember. The defaults suit a script and a fleet."""

    #: Share of its life after which a token is renewed in the background.
    renew_after: float = field(default=0.75, validator=_share)
    #: Largest share of its life by which a renewal is drawn earlier, so that processes do not renew together.
    jitter: float = field(default=0.05, validator=_share)
    #: Margin before its end at which a token is given up, at most a tenth of its life; 0 is none.
    early_expiry: float = field(default=EARLY_EXPIRY, validator=_seconds)
    #: The longest that the token requests of one renewal take, with all attempts.
    deadline: float = field(default=30.0, validator=_positive)
    #: Token requests in one renewal, at most.
    attempts: int = field(default=4, validator=_count)
    #: The longest that one token request takes.
    attempt_timeout: float = field(default=10.0, validator=_positive)
    #: The wait before the second attempt is drawn between zero and this; it doubles with each attempt.
    first_retry_wait: float = field(default=1.0, validator=_positive)
    #: Pause after a failed renewal; it doubles with each failure in a row while a usable token is held.
    first_pause: float = field(default=1.0, validator=_positive)
    #: The longest such pause.
    longest_pause: float = field(default=300.0, validator=_positive)
    #: How long a refusal is remembered, so that a wrong password cannot hammer the account.
    refusal_memory: float = field(default=30.0, validator=_positive)
    #: How long 401s are handed over as they are once a renewal did not help.
    hold: float = field(default=30.0, validator=_positive)

    def __attrs_post_init__(self) -> None:
        if self.jitter >= self.renew_after:
            msg = (
                f"RenewalPolicy.jitter is {self.jitter!r}; not below renew_after, it makes every token stale at once. "
                f"Pass less than {self.renew_after!r}"
            )
            raise ValueError(msg)

    def renewal_age(self, life: float) -> float:
        """Return the age at which a token of that life is renewed, drawn anew for each token."""
        return life * (self.renew_after - self.jitter * _RANDOM.random())

    def retry_wait(self, attempt: int) -> float:
        """Return the wait after attempt number `attempt` (the first is 1): full jitter."""
        return _RANDOM.uniform(0, self.first_retry_wait * 2.0 ** min(attempt - 1, 32))

    def pause(self, error: TokenRequestError) -> float:
        """Return how long nobody asks again after this failure, with no usable token at hand."""
        if isinstance(error, TokenRefused) or error.status_code in REFUSALS:
            return self.refusal_memory
        return max(self.first_pause, min(error.retry_after or 0.0, self.deadline))

    def pause_while_usable(self, error: TokenRequestError, failures: int) -> float:
        """Return how long no background renewal starts after the last of `failures` failures in a row."""
        return max(self.pause(error), min(self.first_pause * 2.0 ** min(failures - 1, 32), self.longest_pause))
