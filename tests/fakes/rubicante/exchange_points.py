"""A kernel and a disk in memory whose every write is a point at which a process may be killed."""

from collections.abc import Mapping

from tests.fakes.rubicante.api_server import FakeStore
from tests.fakes.rubicante.faults import Points
from tests.fakes.rubicante.kernel import FakeKernel


class KilledError(BaseException):
    """kill −9: nothing of the process runs on."""


class PointedKernel(FakeKernel):
    """Every write is a point."""

    points = Points()

    def _check(self, call: str, *arguments: object) -> None:
        super()._check(call, *arguments)
        if call not in ("read", "directories"):
            self.points.pass_by(f"{call} {arguments}", lambda: None)


class PointedStore(FakeStore):
    """Every write is a point."""

    points = Points()

    def write(self, changes: Mapping[str, str | None]) -> None:
        self.points.pass_by(f"store {sorted(changes)}", lambda: None)
        super().write(changes)
