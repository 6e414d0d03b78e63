"""
Authentication for httpx2, made as the one for httpx is.
"""

import httpx2

from daxko_auth.adapters.auth_flow import AuthFlow


class Httpx2Auth(AuthFlow[httpx2.Request, httpx2.Response], httpx2.Auth):
    """
    Authenticates requests to Daxko in `httpx2.Client` and `httpx2.AsyncClient`, in every way as `DaxkoAuth` does.

    The extra `httpx2` installs what it needs: `pip install '.[httpx2]'` in a checkout.
    """

    _in_memory, _sendable, _asendable = httpx2.ByteStream, httpx2.SyncByteStream, httpx2.AsyncByteStream
    _answer, _too_many = httpx2.Response, httpx2.TooManyRedirects
