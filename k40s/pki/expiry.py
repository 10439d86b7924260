"""Until when a certificate holds, read without a library: a daemon's memory is worth more. Pure."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0
_CENTURY = 50
"""Of two digits, years from this one on are of the last century (RFC 5280, 4.1.2.5.1)."""
_END = "-----END CERTIFICATE-----"


def read_expiry(pem: str) -> datetime:
    """The end of validity of the first certificate of a PEM text, in UTC.

    Raises ``ValueError`` where it has none, or one that is cut off or no X.509.
    """
    end = pem.find(_END)
    if end < 0:
        raise ValueError("no PEM certificate")
    der = ssl.PEM_cert_to_DER_cert(pem[pem.find("-----BEGIN") : end] + _END)
    _, certificate = next(_values(der), (0, b""))
    _, signed = next(_values(certificate), (0, b""))
    fields = [one for one in _values(signed) if one[0] != _VERSION]
    # Serial number, algorithm, issuer, validity.
    if len(fields) <= _VALIDITY or fields[_VALIDITY][0] != _SEQUENCE:
        raise ValueError("no validity in the certificate")
    times = list(_values(fields[_VALIDITY][1]))
    if len(times) != len(("from", "until")):
        raise ValueError("no two times in the certificate's validity")
    return _read_time(*times[1])


_VALIDITY = 3


def _values(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and contents of each DER value, one after the other."""
    at = 0
    while at < len(encoded):
        tag, length = encoded[at], encoded[at + 1 : at + 2]
        start, size = at + 2, int.from_bytes(length, "big")
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(encoded[at + 2 : start], "big")
        if not length or start + size > len(encoded):
            raise ValueError("a certificate that is cut off")
        yield tag, encoded[start : start + size]
        at = start + size


def _read_time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii", "replace")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= str(_CENTURY) else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError(f"no time in the certificate's validity: {tag:#x}")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
