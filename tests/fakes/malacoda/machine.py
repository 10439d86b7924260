"""A machine's /proc as malacoda samples it, in a directory: CPUs that spend their time as told."""

from pathlib import Path


class FakeMachine:
    """``spend`` passes ticks of a CPU; the other files stay as they are."""

    def __init__(self, root: Path, *, cpus: int) -> None:
        self._stat = root / "stat"
        self._spent = {cpu: [0, 0, 0] for cpu in range(cpus)}
        self.running, self.contexts = 1, 1000
        (root / "pressure").mkdir()
        (root / "pressure" / "cpu").write_text("some avg10=0.00 total=1\n")
        (root / "loadavg").write_text("0.10 0.10 0.10 1/99 999\n")
        (root / "uptime").write_text("10.00 9.00\n")
        header = " ".join(f"CPU{cpu}" for cpu in range(cpus))
        for file in ("softirqs", "interrupts"):
            (root / file).write_text(f"  {header}\n")
        self._write()

    def spend(self, cpu: int, user: int, system: int, *, of: int) -> None:
        """Ticks in user mode and in the kernel; the rest of ``of`` is idle."""
        for number, ticks in enumerate((user, system, of - user - system)):
            self._spent[cpu][number] += ticks
        self._write()

    def _write(self) -> None:
        rows = {"cpu": [sum(column) for column in zip(*self._spent.values(), strict=True)]}
        rows |= {f"cpu{cpu}": spent for cpu, spent in self._spent.items()}
        lines = [f"{name} {u} 0 {s} {idle} 0 0 0 0 0 0" for name, (u, s, idle) in rows.items()]
        lines += [f"ctxt {self.contexts}", "processes 10", f"procs_running {self.running}"]
        self._stat.write_text("\n".join(lines) + "\n")
