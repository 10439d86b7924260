"""The kernel's preemption model, by what each kernel shows of it."""

import gzip
from pathlib import Path

import pytest

from daemons.rubicante.kernel.preemption import REALTIME, Preemption, read_preemption
from daemons.rubicante.kernel.usage import read_options
from tests.fakes.rubicante.domains import DomainKernel

PROC, DEBUG = Path("/absent"), Path("/debug/sched")
VERSION, COMMAND_LINE, CHOICE = PROC / "sys/kernel/version", PROC / "cmdline", DEBUG / "preempt"
DYNAMIC = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.95-1"


@pytest.mark.parametrize(
    ("files", "model"),
    [
        ({REALTIME: "1\n", VERSION: DYNAMIC}, Preemption.RT),
        ({VERSION: "#1 SMP PREEMPT_RT Debian 6.1.1"}, Preemption.RT),
        ({REALTIME: "0", VERSION: DYNAMIC, CHOICE: "none (voluntary) full"}, Preemption.VOLUNTARY),
        ({VERSION: DYNAMIC, CHOICE: "none voluntary (full) lazy"}, Preemption.FULL),
        ({VERSION: DYNAMIC, CHOICE: "full (lazy)"}, Preemption.LAZY),
        ({VERSION: DYNAMIC, CHOICE: "(none) voluntary full"}, Preemption.NONE),
        ({VERSION: DYNAMIC, CHOICE: "(later) full"}, Preemption.UNKNOWN),
        ({VERSION: DYNAMIC, COMMAND_LINE: "quiet preempt=full"}, Preemption.FULL),
        (
            {VERSION: DYNAMIC, CHOICE: "(voluntary) full", COMMAND_LINE: "preempt=full"},
            Preemption.VOLUNTARY,
        ),
        ({VERSION: DYNAMIC}, Preemption.UNKNOWN),
        ({VERSION: "#1 SMP PREEMPT Thu", COMMAND_LINE: "preempt=none"}, Preemption.FULL),
        ({VERSION: "#1 SMP PREEMPT_LAZY Thu"}, Preemption.LAZY),
        ({VERSION: "#1 SMP Thu"}, Preemption.UNKNOWN),
        ({}, Preemption.UNKNOWN),
    ],
)
def test_the_model_is_the_one_in_force(files: dict[Path, str], model: Preemption) -> None:
    kernel = DomainKernel()
    kernel.files[REALTIME] = "0"
    kernel.files |= files

    assert read_preemption(kernel, proc=PROC, debug=DEBUG, options=frozenset()) is model


def test_a_static_kernel_is_known_by_its_options_where_it_shows_them(tmp_path: Path) -> None:
    (tmp_path / "config.gz").write_bytes(gzip.compress(b"CONFIG_PREEMPT_VOLUNTARY=y\n"))
    kernel = DomainKernel()
    kernel.files[REALTIME] = "0"
    kernel.files[tmp_path / "sys/kernel/version"] = "#1 SMP Flatcar"

    options = read_options(tmp_path)

    found = read_preemption(kernel, proc=tmp_path, debug=DEBUG, options=options)

    assert found is Preemption.VOLUNTARY
