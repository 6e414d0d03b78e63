# Generated from openapi/daxko.yaml by openapi-python-client 0.29.1 (scripts/regenerate). Do not edit.
"""Contains some shared types for properties"""

from collections.abc import Mapping, MutableMapping
from typing import IO, Any, BinaryIO, Generic, Literal, NoReturn, TypeVar

from attrs import Attribute, AttrsInstance, define, field, fields


class Unset:
    def __bool__(self) -> Literal[False]:
        return False


UNSET: Unset = Unset()

# The types that `httpx.Client(files=)` can accept, copied from that library.
FileContent = IO[bytes] | bytes | str
FileTypes = (
    # (filename, file (or bytes), content_type)
    tuple[str | None, FileContent, str | None]
    # (filename, file (or bytes), content_type, headers)
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
RequestFiles = list[tuple[str, FileTypes]]


def multipart_boundary(files: RequestFiles) -> str:
    """Return a boundary that no text among the parts holds: the same one, +++, unless one of them does"""
    texts = [part[1].encode() if isinstance(part[1], str) else part[1] for _, part in files]
    boundary, suffix = "+++", 0
    while any(isinstance(text, bytes) and boundary.encode() in text for text in texts):
        suffix += 1
        boundary = f"+++{suffix}"
    return boundary


@define
class File:
    """Contains information for file uploads"""

    payload: BinaryIO
    file_name: str | None = None
    mime_type: str | None = None

    def to_tuple(self) -> FileTypes:
        """Return a tuple representation that httpx will accept for multipart/form-data"""
        return self.file_name, self.payload, self.mime_type


T = TypeVar("T")


@define
class Response(Generic[T]):
    """A response from an endpoint"""

    status_code: int
    content: bytes = field(repr=False)
    headers: MutableMapping[str, str] = field(repr=False)
    parsed: T | None

    def __reduce__(self) -> NoReturn:
        not_pickled(self)


def not_pickled(holder: object) -> NoReturn:
    """Refuse to be pickled or copied"""
    raise TypeError(
        f"{type(holder).__name__} may hold a secret and is not pickled; pass on the values that are needed, by name,"
        " and copy it with attrs.evolve"
    )


def unshown(_: type, attributes: "list[Attribute[Any]]") -> "list[Attribute[Any]]":
    """Return the attributes marked as not to be shown: some pretty-printers go by the mark, not by the repr"""
    return [attribute.evolve(repr=False) for attribute in attributes]


def masked_repr(model: AttrsInstance) -> str:
    """Return a repr that names the fields that are set and shows no value, whichever of them is a secret"""
    shown: list[str] = []
    for attribute in fields(type(model)):
        value: Any = getattr(model, attribute.name)
        if attribute.name == "additional_properties":
            # Not even the keys: they come from the other side.
            shown.extend([f"{len(value)} additional"] if value else [])
        elif not isinstance(value, Unset):
            shown.append(f"{attribute.name}=...")
    return f"{type(model).__name__}({', '.join(shown)})"


__all__ = [
    "UNSET",
    "File",
    "FileTypes",
    "RequestFiles",
    "Response",
    "Unset",
    "masked_repr",
    "multipart_boundary",
    "not_pickled",
    "unshown",
]
