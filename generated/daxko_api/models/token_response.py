# Generated from openapi/daxko.yaml by openapi-python-client 0.29.1 (scripts/regenerate). Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import masked_repr, not_pickled, unshown

T = TypeVar("T", bound="TokenResponse")


@_attrs_define(repr=False, field_transformer=unshown)
class TokenResponse:
    """A token and how long it lives. Fields that are not listed here are kept."""

    access_token: str
    """ The token to send as the bearer. Opaque; do not take it apart. """
    expires_in: int | str
    """ For how many seconds from now the token is good. The guide shows a string of digits; RFC 6749 section 5.1
    has a number. Take both. """
    token_type: str
    """ How to use the token. Compare without regard to case, and expect only bearer. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def __repr__(self) -> str:
        return masked_repr(self)

    def __reduce__(self) -> NoReturn:
        not_pickled(self)

    def to_dict(self) -> dict[str, Any]:
        access_token = self.access_token

        expires_in: int | str
        expires_in = self.expires_in

        token_type = self.token_type

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "access_token": access_token,
                "expires_in": expires_in,
                "token_type": token_type,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        access_token = d.pop("access_token")
        if not isinstance(access_token, str):
            raise TypeError("access_token is not of the type the OpenAPI document says")

        def _parse_expires_in(data: object) -> int | str:
            return cast(int | str, data)

        expires_in = _parse_expires_in(d.pop("expires_in"))

        if not isinstance(expires_in, str | int) or isinstance(expires_in, bool):
            raise TypeError("expires_in is not of the type the OpenAPI document says")

        token_type = d.pop("token_type")
        if not isinstance(token_type, str):
            raise TypeError("token_type is not of the type the OpenAPI document says")

        token_response = cls(
            access_token=access_token,
            expires_in=expires_in,
            token_type=token_type,
        )

        token_response.additional_properties = d
        return token_response

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
