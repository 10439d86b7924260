"""The clusters of this machine: their claims, kept in one file under a lock."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from localcluster.claims import Claim
from localcluster.errors import LocalClusterError
from localcluster.host.files import locked
from localcluster.host.paths import STATE_ROOT


def format_claims(claims: list[Claim]) -> str:
    """Write claims as JSON."""
    rows = [
        {
            "cluster": claim.cluster,
            "index": claim.index,
            "real_time_cpus": list(claim.real_time_cpus),
            "general_cpus": list(claim.general_cpus),
            "rt_capacity": str(claim.rt_capacity),
        }
        for claim in claims
    ]
    return json.dumps(rows, indent=1)


def parse_claims(text: str) -> list[Claim]:
    """Read claims; raises ``ValueError`` when it is not what ``format_claims`` writes."""
    rows: list[dict[str, Any]] = json.loads(text)
    try:
        return [
            Claim(
                cluster=str(row["cluster"]),
                index=int(row["index"]),
                real_time_cpus=tuple(int(cpu) for cpu in row["real_time_cpus"]),
                general_cpus=tuple(int(cpu) for cpu in row["general_cpus"]),
                rt_capacity=Fraction(row["rt_capacity"]),
            )
            for row in rows
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a list of claims: {error}") from error


class Registry:
    """The claims of all clusters; every change is made under the file lock."""

    def __init__(self, root: Path = STATE_ROOT) -> None:
        self._root = root
        self._file = root / "claims.json"
        self._lock = root / "lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the machine's lock; it is never held for long."""
        with locked(self._lock):
            yield

    def claims(self) -> list[Claim]:
        """All claims that are held."""
        try:
            return parse_claims(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise LocalClusterError(f"{self._file} is damaged: {error}") from error

    def put(self, claim: Claim) -> None:
        """Add a claim. To be called under the lock."""
        self._write([*(held for held in self.claims() if held.cluster != claim.cluster), claim])

    def drop(self, cluster: str) -> None:
        """Remove a cluster's claim. To be called under the lock."""
        self._write([held for held in self.claims() if held.cluster != cluster])

    def clear(self) -> None:
        """Remove the registry's files when there are no claims. To be called under the lock."""
        self._file.unlink(missing_ok=True)
        self._lock.unlink(missing_ok=True)

    def _write(self, claims: list[Claim]) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(format_claims(claims), encoding="utf-8")
        part.replace(self._file)
