"""The CA bundle of a webhook configuration: which certificates it has to hold.

Replicas get a renewed Secret at different times. So the bundle holds what any of them serves with:
each adds its own CA, and removes another's only after that has been there for long enough.
"""

import base64
import binascii
import re
from collections.abc import Container, Sequence

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII
)
MAX_CERTIFICATES = 4
"""Of a bundle; the oldest are left out."""


def read_certificates(pem: str) -> tuple[str, ...]:
    """The PEM blocks of certificates in a text, each once and with plain line ends."""
    found = ("\n".join(block.split("\n")).strip() for block in _CERTIFICATE.findall(pem))
    return tuple(dict.fromkeys(found))


def decode_bundle(text: object) -> tuple[str, ...]:
    """The certificates of a configuration's ``caBundle``; none where it is not understood."""
    try:
        return read_certificates(base64.b64decode(str(text or "")).decode("ascii"))
    except (binascii.Error, ValueError):
        return ()


def encode_bundle(certificates: Sequence[str]) -> str:
    """The ``caBundle`` of these certificates."""
    return base64.b64encode("".join(f"{one}\n" for one in certificates).encode()).decode()


def next_bundle(
    present: Sequence[str], own: Sequence[str], stale: Container[str]
) -> tuple[str, ...]:
    """What the bundle has to hold: it stays where it has our own and nothing stale.

    ``stale`` are certificates of others that have been there for long enough.
    """
    others = [one for one in present if one not in own]
    kept = [one for one in others if one not in stale]
    if set(own) <= set(present) and len(kept) == len(others):
        return tuple(present)
    return (*own, *kept)[:MAX_CERTIFICATES]
