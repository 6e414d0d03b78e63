# Generated from openapi/daxko.yaml by openapi-python-client 0.29.1 (scripts/regenerate). Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn, TypeVar, cast

from attrs import define as _attrs_define

from .. import types
from ..types import masked_repr, not_pickled, unshown

T = TypeVar("T", bound="AccessTokenRequest")


@_attrs_define(repr=False, field_transformer=unshown)
class AccessTokenRequest:
    """The API account, and the Daxko client to act for. The refresh token is in the header, not here."""

    client_id: str
    """ The username of the API account. Not the number of a Daxko client. """
    client_secret: str
    """ The password of the API account. """
    scope: str
    """ The Daxko client (customer organisation) the access token is for. Not a list of permissions. """
    grant_type: Literal["client_credentials"] = "client_credentials"
    """ Always client_credentials, the grant of RFC 6749 section 4.4. """

    def __repr__(self) -> str:
        return masked_repr(self)

    def __reduce__(self) -> NoReturn:
        not_pickled(self)

    def to_dict(self) -> dict[str, Any]:
        grant_type = self.grant_type

        client_id = self.client_id

        client_secret = self.client_secret

        scope = self.scope

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "grant_type": grant_type,
                "client_id": client_id,
                "client_secret": client_secret,
                "scope": scope,
            }
        )

        return field_dict

    def to_multipart(self) -> types.RequestFiles:
        files: types.RequestFiles = []

        files.append(("grant_type", (None, self.grant_type, None)))

        files.append(("client_id", (None, str(self.client_id).encode(), None)))

        files.append(("client_secret", (None, str(self.client_secret).encode(), None)))

        files.append(("scope", (None, str(self.scope).encode(), None)))

        return files

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        grant_type = cast(Literal["client_credentials"], d.pop("grant_type"))
        if grant_type != "client_credentials":
            raise ValueError("grant_type is not the constant of the OpenAPI document")

        client_id = d.pop("client_id")
        if not isinstance(client_id, str):
            raise TypeError("client_id is not of the type the OpenAPI document says")

        client_secret = d.pop("client_secret")
        if not isinstance(client_secret, str):
            raise TypeError("client_secret is not of the type the OpenAPI document says")

        scope = d.pop("scope")
        if not isinstance(scope, str):
            raise TypeError("scope is not of the type the OpenAPI document says")

        access_token_request = cls(
            grant_type=grant_type,
            client_id=client_id,
            client_secret=client_secret,
            scope=scope,
        )

        return access_token_request
