"""
Workers that fork, on any number of machines: one token request per customer and renewal for all of them.

    celery --app celery_app worker --pool prefork --concurrency 8

The broker, `CELERY_BROKER_URL`, is the Redis that tokens are shared through as well. They are encrypted there.
"""

import os
from functools import cache
from typing import Any

import httpx
from celery import Celery

from daxko_auth import ApiCredentials, Daxko, RedisStore, TokenEndpointUnavailable, TokenSource

REDIS_URL = os.environ["CELERY_BROKER_URL"]

app = Celery("daxko", broker=REDIS_URL, backend=REDIS_URL)


@cache
def source() -> TokenSource:
    """Return the one of this process. It may be made before the fork, too."""
    return TokenSource(ApiCredentials.from_env(), store=RedisStore(REDIS_URL))


# A refusal is not among them: coming again with the same account helps nobody.
@app.task(autoretry_for=(TokenEndpointUnavailable, httpx.TransportError), retry_backoff=True, max_retries=5)
def locations(client_id: int) -> Any:
    """Fetch what Daxko knows of the locations of a customer."""
    with Daxko(source().credentials, client_id, source=source()) as daxko:
        answer = daxko.http.get("/v3/programs/locations")
        answer.raise_for_status()
        return answer.json()
