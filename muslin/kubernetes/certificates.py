"""When a certificate ends: the one thing that we read of it ourselves. Pure."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

__all__ = ["not_after"]

_UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x17, 0x18, 0xA0


def not_after(pem: bytes) -> datetime:
    """End of the first certificate of a PEM text. Raises ValueError for what is none. Source: RFC 5280 section 4.1."""
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    _, found, rest = pem.partition(begin)
    body, closed, _ = rest.partition(end)
    if not (found and closed):
        raise ValueError("no certificate")
    der = ssl.PEM_cert_to_DER_cert((begin + body + end).decode("ascii"))
    try:
        _, certificate, _ = _element(der)
        _, signed, _ = _element(certificate)
        tag, _, rest = _element(signed)
        if tag == _VERSION:
            _, _, rest = _element(rest)  # serial number
        for _ in range(2):  # signature algorithm, issuer
            _, _, rest = _element(rest)
        _, validity, _ = _element(rest)
        _, _, rest = _element(validity)
        tag, ends, _ = _element(rest)
    except IndexError as error:
        raise ValueError("truncated certificate") from error
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(tag)
    if form is None:
        raise ValueError("no time where the validity should be")
    return datetime.strptime(ends.decode("ascii"), form).replace(tzinfo=UTC)


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content and what follows of the first DER element."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise IndexError
    return der[0], der[start : start + length], der[start + length :]
