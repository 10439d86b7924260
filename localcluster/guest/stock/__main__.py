"""``python -m localcluster.guest.stock``: run a command on a Debian machine as it comes."""

import os
import sys
import tempfile
from pathlib import Path

import click

from localcluster.errors import LocalClusterError
from localcluster.guest.disks import DiskStore
from localcluster.guest.kernels import CLOUD, ensure_kernel
from localcluster.guest.stock.debian import ensure_kernel_disk, ensure_root_disk
from localcluster.guest.stock.emulator import ensure_emulator
from localcluster.guest.stock.machine import StockMachine, run_command
from localcluster.guest.stock.parts import ensure_cache_disk, write_checkout
from localcluster.host.packages import require_guest_machine
from localcluster.host.paths import cache_root
from localcluster.images.cluster_images import PROJECT
from localcluster.progress import Progress

SERIES = {"12": "6.1", "13": "6.12"}
"""Debian's release → the version of its kernel, which Debian 12 has itself or in its backports."""
DEMO = """\
.venv/bin/k40s demo --patience 10
status=$?
[ $status = 0 ] || tail -n 12 /var/lib/k40s/local/demo/logs/*
exit $status"""
"""An emulated machine takes ten times as long for everything. Its logs are gone with it."""
_CHECKOUT_SIZE = 64 << 20


@click.command()
@click.option("--kernel", type=click.Choice([*SERIES]), default="13", show_default=True)
@click.option("--checkout", type=click.Path(path_type=Path), default=PROJECT, show_default=True)
@click.option("--log", type=click.Path(path_type=Path), help="Where its console is kept.")
@click.option("--seconds", default=3 * 3600, show_default=True, help="The limit of it all.")
@click.option("--memory", default=6144, show_default=True, help="In MiB.")
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    help="Where a further serial line (/dev/ttyS2) is served.",
)
@click.option(
    "--archive", type=click.Path(path_type=Path), help="Keep the checkout's archive there."
)
@click.argument("command", default=DEMO)
def main(
    *,
    kernel: str,
    checkout: Path,
    log: Path | None,
    seconds: int,
    memory: int,
    socket: Path | None,
    archive: Path | None,
    command: str,
) -> None:
    """Run a shell COMMAND, by default the demo, in a checkout on an emulated Debian machine."""
    cache = cache_root(os.environ)
    directory = cache / "guests"
    progress = Progress(lambda text: click.echo(text, nl=False))
    log = log or directory / f"stock-debian{kernel}.log"
    log.unlink(missing_ok=True)
    try:
        require_guest_machine()
        emulator = ensure_emulator(cache, progress=progress)
        found = ensure_kernel(CLOUD, series=SERIES[kernel], cache=cache, progress=progress)
        store = DiskStore(cache, progress=progress)
        modules = ensure_kernel_disk(store, found)
        root = ensure_root_disk(store, lock=checkout / "requirements-runtime.lock")
        disk = ensure_cache_disk(store, cache=cache, project=checkout, progress=progress)
        with tempfile.TemporaryDirectory(prefix="k40s-checkout-") as scratch:
            tar = archive or Path(scratch) / "checkout.tar"
            write_checkout(tar, checkout, size=_CHECKOUT_SIZE)
            click.echo(f"Linux {found.release}; its console: {log}")
            machine = StockMachine(
                kernel=found,
                modules=modules,
                root=root,
                cache=disk,
                checkout=tar,
                memory=memory,
                emulator=emulator,
            )
            status = run_command(
                machine,
                command,
                log=log,
                seconds=seconds,
                show=lambda text: click.echo(text, nl=False),
                socket=socket,
            )
    except LocalClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    click.echo(f"status {status} on Linux {found.release}; its console: {log}")
    sys.exit(status)


if __name__ == "__main__":
    main()
