# Generated from openapi/daxko.yaml by openapi-python-client 0.29.1 (scripts/regenerate). Do not edit.
"""Contains all the data models used in inputs/outputs"""

from .access_token_request import AccessTokenRequest
from .error_response import ErrorResponse
from .member_token_request import MemberTokenRequest
from .token_response import TokenResponse

__all__ = (
    "AccessTokenRequest",
    "ErrorResponse",
    "MemberTokenRequest",
    "TokenResponse",
)
