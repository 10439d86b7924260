"""The end of validity, read from a certificate's encoding, and as a metric."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from k40s.pki.authority import make_authority, read_validity
from k40s.pki.expiry import read_expiry
from k40s.pki.metrics import CertificateMetrics

NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


def certificate(days: int, name: str = "k40s") -> bytes:
    return make_authority(name=name, lifetime=timedelta(days=days), now=NOW).certificate


@pytest.mark.parametrize("days", [1, 365, 3650, 9000, 20000])
def test_the_end_is_the_one_that_the_library_reads(days: int) -> None:
    """Also past 2049, where the encoding of times is another one."""
    pem = certificate(days)

    assert read_expiry(pem.decode()) == read_validity(pem).not_after


def test_the_first_of_a_chain_counts() -> None:
    chain = certificate(10) + certificate(20)

    assert read_expiry(chain.decode()) == read_validity(certificate(10)).not_after


@pytest.mark.parametrize("text", ["", "certificate", "-----END CERTIFICATE-----"])
def test_what_is_no_certificate_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_expiry(text)


@given(cut=st.integers(0, 400), filler=st.binary(max_size=8))
def test_a_damaged_certificate_yields_a_time_or_an_error(cut: int, filler: bytes) -> None:
    der = ssl.PEM_cert_to_DER_cert(certificate(10).decode())
    damaged = der[:cut] + filler + der[cut + len(filler) :]
    try:
        found = read_expiry(ssl.DER_cert_to_PEM_cert(damaged[: max(cut, 1)] or damaged))
    except ValueError:
        return
    assert found.tzinfo is UTC


def exported(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(
        "k40s_webhook_certificate_expiry_timestamp_seconds", {"certificate": name}
    )


def test_a_renewed_file_shows_at_the_next_scrape(tmp_path: Path) -> None:
    file = tmp_path / "tls.crt"
    registry = CollectorRegistry()
    CertificateMetrics(registry, process="webhook", certificates={"server": file})
    absent = exported(registry, "server")

    file.write_bytes(certificate(10))
    first = exported(registry, "server")
    file.write_bytes(certificate(400))

    assert absent == 0
    assert first == (NOW + timedelta(days=10)).timestamp()
    assert exported(registry, "server") == (NOW + timedelta(days=400)).timestamp()
