"""What is logged of a trouble that lasts."""

import logging

from daxko_auth.model.log import WARNING_WINDOW, WarningThrottle


def test_a_trouble_that_lasts_is_warned_of_once_in_a_window() -> None:
    """A store that is down is asked for each of five hundred scopes; one line says as much as five hundred."""
    seldom = WarningThrottle()
    levels = [seldom.level(now) for now in (100.0, 100.0, 100.0 + WARNING_WINDOW - 0.1, 100.0 + WARNING_WINDOW)]
    assert levels == [logging.WARNING, logging.DEBUG, logging.DEBUG, logging.WARNING]


def test_a_clock_that_was_set_back_does_not_silence_warnings() -> None:
    """Until it had caught up, nobody would hear of anything."""
    seldom = WarningThrottle()
    assert [seldom.level(now) for now in (1_000.0, 10.0, 11.0)] == [logging.WARNING, logging.WARNING, logging.DEBUG]
