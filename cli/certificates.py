"""``k40s certificates``: the authority and the Secrets for mutual TLS."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from k40s.errors import InvalidInputError
from k40s.pki.directory import CertificateDirectory, find_namespace

_AUTHORITY_LIFETIME = timedelta(days=3650)
_NAMESPACE = "k40s-system"

_output = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory of the authority and the Secrets. Keep it: the CA's key is nowhere else.",
)
_namespace = click.option(
    "--namespace",
    help="Where k40s is installed.  [default: where the directory's Secrets are, or k40s-system]",
)
_days = click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=365,
    show_default=True,
    help="Lifetime of new certificates; never beyond that of the CA.",
)


@click.group()
def certificates() -> None:
    """Make and renew the certificates of k40s's processes."""


@certificates.command("issue")
@_output
@_namespace
@_days
def issue_command(output: Path, namespace: str | None, days: int) -> None:
    """Make a CA and the Secrets; what exists and has time left stays as it is."""
    with _readable_errors():
        written = _open(output, namespace).issue(
            lifetime=timedelta(days=days),
            authority_lifetime=_AUTHORITY_LIFETIME,
            now=datetime.now(UTC),
        )
    _report(written, output)


@certificates.command("renew")
@_output
@_namespace
@_days
@click.option("--all", "every", is_flag=True, help="Renew even what is far from its end.")
def renew_command(output: Path, namespace: str | None, days: int, *, every: bool) -> None:
    """Renew what has less than a third of its lifetime left. The CA keeps its key."""
    with _readable_errors():
        written = _open(output, namespace).renew(
            lifetime=timedelta(days=days),
            authority_lifetime=_AUTHORITY_LIFETIME,
            now=datetime.now(UTC),
            every=every,
        )
    _report(written, output)


@certificates.command("status")
@_output
@_namespace
def status_command(output: Path, namespace: str | None) -> None:
    """Show what is there and until when; exit 1 when something is missing or expired."""
    now = datetime.now(UTC)
    with _readable_errors():
        entries = _open(output, namespace).status()
    for entry in entries:
        end = f"{entry.validity.not_after:%Y-%m-%d}" if entry.validity else "-"
        click.echo(f"{entry.name:<28}{end:<14}{entry.state(now)}")
    if any(entry.state(now) in ("missing", "expired") for entry in entries):
        raise SystemExit(1)


def _open(output: Path, namespace: str | None) -> CertificateDirectory:
    """Without ``--namespace``, Secrets stay in the namespace that they are in."""
    return CertificateDirectory(output, namespace or find_namespace(output) or _NAMESPACE)


def _report(written: list[str], output: Path) -> None:
    for name in written:
        click.echo(f"written  {name}")
    if written:
        click.echo(f"Apply with: kubectl apply -k {output}")
    else:
        click.echo("Nothing is due.")


@contextmanager
def _readable_errors() -> Iterator[None]:
    try:
        yield
    except (InvalidInputError, OSError) as error:
        raise click.ClickException(str(error)) from error
