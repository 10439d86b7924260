"""When the certificates that a process presents end, as a metric."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from k40s.pki.expiry import read_expiry


class CertificateMetrics:
    """Read at each scrape, so that a renewed file shows at once."""

    def __init__(
        self, registry: CollectorRegistry, *, process: str, certificates: Mapping[str, Path]
    ) -> None:
        """``certificates`` are PEM files by what they are presented as: ``server``, ``client``."""
        gauge = Gauge(
            f"k40s_{process}_certificate_expiry_timestamp_seconds",
            "When a certificate of this process ends, since 1970; 0 while it cannot be read.",
            ["certificate"],
            registry=registry,
        )
        for name, path in certificates.items():
            gauge.labels(certificate=name).set_function(partial(_expiry, path))


def _expiry(path: Path) -> float:
    try:
        return read_expiry(path.read_text(encoding="ascii")).timestamp()
    except (OSError, ValueError):
        return 0.0
