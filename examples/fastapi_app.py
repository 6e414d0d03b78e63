"""
A web program with many customers: one source and one pool of connections for its whole life.

    fastapi run fastapi_app.py
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException, Request

from daxko_auth import ApiCredentials, CredentialsError, DaxkoAuth, TokenRequestError, TokenSource


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open both when the program starts, and close both when it ends."""
    with TokenSource(ApiCredentials.from_env()) as source:
        headers = {"Accept": "application/json"}
        async with httpx.AsyncClient(base_url=source.origin.base_url, headers=headers, timeout=30) as http:
            app.state.source, app.state.http = source, http
            yield


app = FastAPI(lifespan=lifespan)


@app.get("/customers/{client_id}/locations")
async def locations(client_id: int, request: Request) -> Any:
    """Answer what Daxko knows of the locations of a customer."""
    state = request.app.state
    try:
        # Making one costs nothing: the tokens are the source's.
        answer = await state.http.get("/v3/programs/locations", auth=DaxkoAuth(state.source, client_id))
    except CredentialsError as error:
        raise HTTPException(404, str(error)) from error
    except TokenRequestError as error:
        raise HTTPException(503 if error.retryable else 502, str(error)) from error
    answer.raise_for_status()
    return answer.json()
