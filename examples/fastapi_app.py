"""
A web program with many customers: one source and one pool of connections for its whole life.

    fastapi run fastapi_app.py

What goes wrong upstream is answered as a gateway answers: 503 with Retry-After if it may pass, else 502. The messages
name the customer and hold no secret.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, HTTPException, Path, Request
from fastapi.responses import JSONResponse

from daxko_auth import ApiCredentials, DaxkoAuth, TokenRequestError, TokenSource


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open what all requests share. A setting that is missing ends the program here, not its first request."""
    with TokenSource(ApiCredentials.from_env()) as source:
        headers = {"Accept": "application/json"}
        async with httpx.AsyncClient(base_url=source.origin.base_url, headers=headers, timeout=30) as http:
            yield {"source": source, "http": http}


app = FastAPI(lifespan=lifespan)


@app.get("/customers/{client_id}/locations")
async def locations(client_id: Annotated[int, Path(gt=0)], request: Request) -> Any:
    """Answer what Daxko knows of the locations of a customer."""
    # Making one costs nothing: the tokens are the source's.
    auth = DaxkoAuth(request.state.source, client_id)
    answer = await request.state.http.get("/v3/programs/locations", auth=auth)
    if answer.is_error:
        raise HTTPException(502, f"Daxko answered {answer.status_code} for client:{client_id}.")
    return answer.json()


@app.exception_handler(TokenRequestError)
async def no_token(_request: Request, error: TokenRequestError) -> JSONResponse:
    """Say that there is no token for this customer, and when to come again."""
    later = {"Retry-After": str(math.ceil(error.retry_after or 1))} if error.retryable else None
    return JSONResponse({"detail": str(error)}, 503 if error.retryable else 502, later)


@app.exception_handler(httpx.TransportError)
async def no_answer(_request: Request, error: httpx.TransportError) -> JSONResponse:
    """Say that Daxko did not answer a call."""
    return JSONResponse({"detail": f"No answer from Daxko: {type(error).__name__}."}, 503, {"Retry-After": "1"})
