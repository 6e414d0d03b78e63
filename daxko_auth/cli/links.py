"""
The way to Daxko below HTTP, link by link: name, connection, certificate.
"""

import socket
import ssl
import time
from typing import Final, Literal

import httpx
from attrs import frozen

from daxko_auth.model.origin import Origin
from daxko_auth.wire.http import certificates, proxy_for

Verdict = Literal["ok", "warning", "failed", "skipped"]

#: Seconds for each of them.
_TIMEOUT: Final = 10.0
_DAY: Final = 86_400
#: A certificate that is about to end is somebody's forgotten renewal.
_DAYS_LEFT: Final = 14


@frozen
class Finding:
    """What was found at one link of the chain, and what to do about it."""

    link: str
    verdict: Verdict
    found: str
    advice: str = ""


def reach(origin: Origin) -> list[Finding]:
    """
    Resolve the name, connect, and shake hands; stop at the first that fails.

    Raises:
        CredentialsError: naming the setting of the environment that cannot be used.
    """
    url = httpx.URL(origin.base_url)
    proxy = proxy_for(origin)
    target = httpx.URL(proxy.url.reveal()) if proxy else url
    host, port = target.raw_host.decode("ascii"), target.port or _default_port(target)
    via = f" (the proxy of {proxy.setting})" if proxy else ""
    setting = proxy.setting if proxy else "DAXKO_BASE_URL"
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        advice = f"Check {setting}, and this machine's DNS"
        return [Finding("name", "failed", f"{host}{via} has no address: {error.strerror}", advice)]
    findings = [Finding("name", "ok", f"{host}{via} is {', '.join(sorted(addresses))}")]
    began = time.monotonic()
    try:
        connection = socket.create_connection((host, port), _TIMEOUT)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        advice = f"Check the port in {setting}, and the firewalls on the way"
        return [*findings, Finding("connection", "failed", f"{host} port {port} does not answer: {reason}", advice)]
    with connection:
        took = (time.monotonic() - began) * 1_000
        findings.append(Finding("connection", "ok", f"{host} port {port} in {took:.0f} ms"))
        if proxy:
            return [*findings, Finding("certificate", "skipped", "a proxy is in between; the next links show it")]
        if url.scheme == "http":
            return [*findings, Finding("certificate", "skipped", "plain http, to this machine only")]
        return [*findings, _certificate(connection, host)]


def _default_port(url: httpx.URL) -> int:
    return {"https": 443, "http": 80}.get(url.scheme, 1080)


def _certificate(connection: socket.socket, host: str) -> Finding:
    try:
        with certificates().wrap_socket(connection, server_hostname=host.strip("[]")) as secured:
            certificate, version = secured.getpeercert(), secured.version()
    except ssl.SSLCertVerificationError as error:
        advice = (
            "If a proxy or firewall of your own signs it, point SSL_CERT_FILE to its authority's certificate; never "
            "switch the check off"
        )
        return Finding("certificate", "failed", f"it is not trusted: {error.verify_message}", advice)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Finding("certificate", "failed", f"no TLS with {host}: {reason}", "Check that it is an https port")
    ends = certificate["notAfter"] if certificate else ""
    days = (ssl.cert_time_to_seconds(str(ends)) - time.time()) / _DAY
    found = f"{version}, trusted, and good for {days:.0f} more days"
    if days < _DAYS_LEFT:
        return Finding("certificate", "warning", found, "Tell those who run that server")
    return Finding("certificate", "ok", found)
