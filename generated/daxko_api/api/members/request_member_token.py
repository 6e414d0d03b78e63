# Generated from openapi/daxko.yaml by openapi-python-client 0.29.1 (scripts/regenerate). Do not edit.
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_response import ErrorResponse
from ...models.member_token_request import MemberTokenRequest
from ...models.token_response import TokenResponse
from ...types import Response


def _get_kwargs(
    *,
    body: MemberTokenRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v3/members/oauth2/token",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorResponse | TokenResponse | None:
    try:
        if response.status_code == 200:
            response_200 = TokenResponse.from_dict(response.json())

            return response_200

        if response.status_code == 400:
            response_400 = ErrorResponse.from_dict(response.json())

            return response_400

        if response.status_code == 401:
            response_401 = ErrorResponse.from_dict(response.json())

            return response_401

        if response.status_code == 406:
            response_406 = ErrorResponse.from_dict(response.json())

            return response_406

        if response.status_code == 429:
            response_429 = ErrorResponse.from_dict(response.json())

            return response_429

        if response.status_code == 503:
            response_503 = ErrorResponse.from_dict(response.json())

            return response_503

        if 500 <= response.status_code <= 599:
            response_5xx = ErrorResponse.from_dict(response.json())

            return response_5xx

        unexpected: Exception = errors.UnexpectedStatus(response.status_code)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        content_type = response.headers.get("Content-Type", "").partition(";")[0][:100]
        unexpected = errors.UnexpectedBody(response.status_code, content_type)
    # Out here, the exception that quotes the body is no context of the one that is raised.
    if client.raise_on_unexpected_status:
        raise unexpected
    return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorResponse | TokenResponse]:
    return Response(
        status_code=response.status_code,
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: MemberTokenRequest,
) -> Response[ErrorResponse | TokenResponse]:
    """Sign in a member of the access token's Daxko client.

     Trades a member's name and password for a token of that member. The bearer is the access token of
    the partner token endpoint, never the refresh token.

    Args:
        body (MemberTokenRequest): A member's own login.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        errors.UnexpectedBody: If the body is not what the document says and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | TokenResponse]
    """

    response = client.get_httpx_client().request(
        **_get_kwargs(
            body=body,
        )
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient,
    body: MemberTokenRequest,
) -> ErrorResponse | TokenResponse | None:
    """Sign in a member of the access token's Daxko client.

     Trades a member's name and password for a token of that member. The bearer is the access token of
    the partner token endpoint, never the refresh token.

    Args:
        body (MemberTokenRequest): A member's own login.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        errors.UnexpectedBody: If the body is not what the document says and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | TokenResponse
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: MemberTokenRequest,
) -> Response[ErrorResponse | TokenResponse]:
    """Sign in a member of the access token's Daxko client.

     Trades a member's name and password for a token of that member. The bearer is the access token of
    the partner token endpoint, never the refresh token.

    Args:
        body (MemberTokenRequest): A member's own login.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        errors.UnexpectedBody: If the body is not what the document says and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | TokenResponse]
    """

    response = await client.get_async_httpx_client().request(
        **_get_kwargs(
            body=body,
        )
    )

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient,
    body: MemberTokenRequest,
) -> ErrorResponse | TokenResponse | None:
    """Sign in a member of the access token's Daxko client.

     Trades a member's name and password for a token of that member. The bearer is the access token of
    the partner token endpoint, never the refresh token.

    Args:
        body (MemberTokenRequest): A member's own login.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        errors.UnexpectedBody: If the body is not what the document says and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | TokenResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
