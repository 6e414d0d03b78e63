"""
The settings with which vcrpy records no secret, and answers a request only with the answer to the same request.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from daxko_auth.model.credentials import secrets_from_env
from daxko_auth.model.secret import Secret
from daxko_auth.testing import placeholders
from daxko_auth.testing.scrubber import Scrubber

# Not "body": vcrpy shows the body of a request that matches nothing, and that one is not scrubbed. What a scrubbed body
# says stands in a header, for this.
MATCH_ON: Final = ("method", "scheme", "host", "port", "path", "query", "headers")

_KINDS: Final = {
    "DAXKO_PASSWORD": placeholders.CLIENT_SECRET,
    "DAXKO_MEMBER_PASSWORD": placeholders.MEMBER_PASSWORD,
    "DAXKO_REFRESH_TOKEN": placeholders.REFRESH_TOKEN,
}


def vcr_config(*, secrets: Iterable[str | Secret] = ()) -> dict[str, Any]:
    """
    Return settings for vcrpy: `VCR(**vcr_config())`, or as the `vcr_config` fixture of pytest-recording or pytest-vcr.

    Whatever the environment holds in DAXKO_PASSWORD, DAXKO_REFRESH_TOKEN and DAXKO_MEMBER_PASSWORD, or in files named
    by these with _FILE, and all of `secrets`, is taken out of what is recorded, however it is encoded; so are tokens by
    their shape, cookies, and everything but the known fields at token endpoints. vcrpy no longer logs answers.

    Raises:
        CredentialsError: a file named by the environment cannot be read.
    """
    scrubber = Scrubber(
        {secret.reveal() if isinstance(secret, Secret) else secret: placeholders.WITHHELD for secret in secrets}
        | {secret.reveal(): _KINDS[name] for name, secret in secrets_from_env().items()}
    )
    return settings_with(scrubber)


def settings_with(scrubber: Scrubber) -> dict[str, Any]:
    """Return settings for vcrpy that go by a scrubber."""
    # A filter that is there already is not added again.
    logging.getLogger("vcr.cassette").addFilter(without_answers)
    return {
        "match_on": MATCH_ON,
        "before_record_request": scrubber.request,
        "before_record_response": scrubber.response,
        # Else a secret in a compressed answer is not found.
        "decode_compressed_response": True,
    }


def without_answers(record: logging.LogRecord) -> bool:
    """Leave out of a log record the answer that vcrpy logs whole before it is scrubbed."""
    if isinstance(record.args, Mapping):
        record.msg, record.args = placeholders.WITHHELD, ()
    record.args = tuple(placeholders.WITHHELD if isinstance(held, Mapping) else held for held in record.args or ())
    return True
