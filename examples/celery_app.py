"""
Workers that fork, on any number of machines: one token request per customer and renewal for all of them.

    celery --app celery_app worker --pool prefork --concurrency 8

The broker, `CELERY_BROKER_URL`, is the Redis that tokens are shared through as well. They are encrypted there.
"""

import os
from functools import cache
from typing import Any

import httpx
from celery import Celery, Task

from daxko_auth import ApiCredentials, Daxko, RedisStore, TokenEndpointUnavailable, TokenSource

REDIS_URL = os.environ["CELERY_BROKER_URL"]

app = Celery("daxko", broker=REDIS_URL, backend=REDIS_URL)


@cache
def source() -> TokenSource:
    """Return the one of this process. It may be made before the fork, too."""
    return TokenSource(ApiCredentials.from_env(), store=RedisStore(REDIS_URL))


@app.task(bind=True, autoretry_for=(httpx.TransportError,), retry_backoff=True, max_retries=5)
def locations(self: Task, client_id: int) -> Any:
    """Fetch what Daxko knows of the locations of a customer."""
    try:
        with Daxko(source().credentials, client_id, source=source()) as daxko:
            answer = daxko.http.get("/v3/programs/locations")
            answer.raise_for_status()
            return answer.json()
    except TokenEndpointUnavailable as error:
        # Any other error would be the same if the task came again: a refusal is not tried twice.
        raise self.retry(exc=error, countdown=error.retry_after or 2**self.request.retries) from None
