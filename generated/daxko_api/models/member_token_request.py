# Generated from openapi/daxko.yaml by openapi-python-client 0.29.1 (scripts/regenerate). Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn, TypeVar, cast

from attrs import define as _attrs_define

from ..types import masked_repr, not_pickled, unshown

T = TypeVar("T", bound="MemberTokenRequest")


@_attrs_define(repr=False, field_transformer=unshown)
class MemberTokenRequest:
    """A member's own login."""

    username: str
    """ The member's login name. Not the API account's. """
    password: str
    """ The member's password. Not the API account's. """
    grant_type: Literal["password"] = "password"
    """ Always password, the grant of RFC 6749 section 4.3. """
    scope: Literal["member:auto_login"] = "member:auto_login"
    """ The only scope the guide gives for a member. """

    def __repr__(self) -> str:
        return masked_repr(self)

    def __reduce__(self) -> NoReturn:
        not_pickled(self)

    def to_dict(self) -> dict[str, Any]:
        username = self.username

        password = self.password

        grant_type = self.grant_type

        scope = self.scope

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "username": username,
                "password": password,
                "grant_type": grant_type,
                "scope": scope,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        username = d.pop("username")
        if not isinstance(username, str):
            raise TypeError("username is not of the type the OpenAPI document says")

        password = d.pop("password")
        if not isinstance(password, str):
            raise TypeError("password is not of the type the OpenAPI document says")

        grant_type = cast(Literal["password"], d.pop("grant_type"))
        if grant_type != "password":
            raise ValueError("grant_type is not the constant of the OpenAPI document")

        scope = cast(Literal["member:auto_login"], d.pop("scope"))
        if scope != "member:auto_login":
            raise ValueError("scope is not the constant of the OpenAPI document")

        member_token_request = cls(
            username=username,
            password=password,
            grant_type=grant_type,
            scope=scope,
        )

        return member_token_request
