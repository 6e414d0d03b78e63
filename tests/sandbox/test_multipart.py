"""
The multipart parser: strict, and calm whatever it is given.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxko_auth.sandbox.multipart import Malformed, Part, parse

TYPE = "multipart/form-data; boundary=b"
HEAD = b'Content-Disposition: form-data; name="n"'


def test_parts_are_read_with_their_headers() -> None:
    """The headers of a part are what tells curl from generated code."""
    body = b'--b\r\nContent-Disposition: form-data; name="n"; filename="f"\r\nX-y:  z \r\n\r\n1\r\n\r\n2\r\n--b--'

    assert parse(TYPE, body) == (Part("n", b"1\r\n\r\n2", frozenset({"content-disposition", "x-y"}), True),)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=b", 'Multipart/Form-Data;boundary="b"', "multipart/form-data ; Boundary=b "],
)
def test_the_boundary_is_found(content_type: str) -> None:
    """However the header is written, as long as it is well-formed."""
    assert parse(content_type, b"--b--\r\n") == ()


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/mixed; boundary=b",
        "multipart/form-data; boundary=",
        f"{TYPE}{'b' * 70}",
        'x; "',
    ],
)
def test_without_a_boundary_there_are_no_parts(content_type: str) -> None:
    """RFC 2046 section 5.1.1 says what a boundary is."""
    assert isinstance(parse(content_type, b"--b--\r\n"), Malformed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"preamble\r\n--b\r\n" + HEAD + b"\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\n" + HEAD + b"\r\n\r\n1\r\n--b--\r\nepilogue",
        b"--b\r\n" + HEAD + b"\r\n\r\n1\r\n--b\r\n",
        b"--b\r\n" + HEAD + b"\r\n\r\n1",
        b"--b \r\n" + HEAD + b"\r\n\r\n1\r\n--b--\r\n",
        b"--b\n" + HEAD + b"\n\n1\n--b--\n",
        b"--b\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\n" + HEAD + b"\r\n" + HEAD + b"\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\n" + HEAD + b"\r\nno header\r\n\r\n1\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=n\r\n\r\n1\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: attachment; name="n"\r\n\r\n1\r\n--b--\r\n',
        b"--b\r\n" + HEAD + b"\r\n--b--\r\n",
    ],
)
def test_what_a_lenient_parser_would_guess_at_is_refused(body: bytes) -> None:
    """The vendor's parser is not known, so only what every parser reads alike is right."""
    assert isinstance(parse(TYPE, body), Malformed)


@given(st.binary(), st.text())
def test_no_bytes_make_it_raise(body: bytes, content_type: str) -> None:
    """It stands in front of everything that arrives."""
    for named in (content_type, TYPE):
        for sent in (body, b"--b\r\n" + body + b"\r\n--b--\r\n", b"--b\r\n" + HEAD + body + b"\r\n\r\n\r\n--b--"):
            assert isinstance(parse(named, sent), Malformed | tuple)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cc", "Cs"])), st.binary(), max_size=5
    )
)
def test_what_is_written_by_the_rules_is_read_back(fields: dict[str, bytes]) -> None:
    """Any value but the boundary itself, line breaks and dashes included."""
    boundary = "-" * 20 + "q"
    pieces = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in fields.items()
    ]
    parts = parse(f"multipart/form-data; boundary={boundary}", b"".join(pieces) + f"--{boundary}--\r\n".encode())

    assert isinstance(parts, tuple)
    assert {part.name: part.value for part in parts} == fields
