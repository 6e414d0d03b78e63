# Generated from openapi/daxko.yaml by openapi-python-client 0.29.1 (scripts/regenerate). Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset, masked_repr, not_pickled, unshown

T = TypeVar("T", bound="ErrorResponse")


@_attrs_define(repr=False, field_transformer=unshown)
class ErrorResponse:
    """Why no token was issued. Fields that are not listed here are kept."""

    error: str
    """ A code: invalid_request, invalid_client, invalid_grant, unauthorized_client, unsupported_grant_type,
    invalid_scope, or another one. An open list. """
    error_description: str | Unset = UNSET
    """ What went wrong, for the developer who reads the log. Not for end users. """
    error_uri: str | Unset = UNSET
    """ A page about this error, for the developer. Not checked to be a URI. """
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def __repr__(self) -> str:
        return masked_repr(self)

    def __reduce__(self) -> NoReturn:
        not_pickled(self)

    def to_dict(self) -> dict[str, Any]:
        error = self.error

        error_description = self.error_description

        error_uri = self.error_uri

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "error": error,
            }
        )
        if error_description is not UNSET:
            field_dict["error_description"] = error_description
        if error_uri is not UNSET:
            field_dict["error_uri"] = error_uri

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        error = d.pop("error")
        if not isinstance(error, str):
            raise TypeError("error is not of the type the OpenAPI document says")

        error_description = d.pop("error_description", UNSET)
        if not isinstance(error_description, str | Unset):
            raise TypeError("error_description is not of the type the OpenAPI document says")

        error_uri = d.pop("error_uri", UNSET)
        if not isinstance(error_uri, str | Unset):
            raise TypeError("error_uri is not of the type the OpenAPI document says")

        error_response = cls(
            error=error,
            error_description=error_description,
            error_uri=error_uri,
        )

        error_response.additional_properties = d
        return error_response

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
