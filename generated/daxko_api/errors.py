# Generated from openapi/daxko.yaml by openapi-python-client 0.29.1 (scripts/regenerate). Do not edit.
"""Contains shared errors types that can be raised from API functions"""


class UnexpectedStatus(Exception):
    """The answer's status is not in the OpenAPI document, and Client.raise_on_unexpected_status is True"""

    def __init__(self, status_code: int) -> None:
        super().__init__(status_code)
        self.status_code = status_code

    def __str__(self) -> str:
        return f"Status {self.status_code} is not in the OpenAPI document"


class UnexpectedBody(Exception):
    """The answer's status is in the OpenAPI document and its body is not what the document says, and
    Client.raise_on_unexpected_status is True"""

    def __init__(self, status_code: int, content_type: str) -> None:
        super().__init__(status_code, content_type)
        self.status_code = status_code
        self.content_type = content_type

    def __str__(self) -> str:
        return (
            f"Status {self.status_code} came with a body that is not what the OpenAPI document says"
            f" (content type {self.content_type!r})"
        )


__all__ = ["UnexpectedBody", "UnexpectedStatus"]
