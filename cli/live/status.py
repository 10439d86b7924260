"""``k40s status``: whether every part of an installation is well."""

from datetime import UTC, datetime

import click

from cli.exit_status import DOES_NOT_HOLD, HOLDS, NOT_JUDGED, one_line_errors
from cli.live.choice import SYSTEM, ClusterChoice, cluster_choice, connect_cluster

_STATUS = {"ok": HOLDS, "FAULT": DOES_NOT_HOLD, "unknown": NOT_JUDGED}


@click.command()
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="The findings as values.")
@click.option(
    "--system-namespace", default=SYSTEM, show_default=True, help="Where k40s is installed."
)
@cluster_choice
def status(*, choice: ClusterChoice, output: str | None, system_namespace: str) -> None:
    """Judge the health of every part of an installation: one finding a line, with what to do.

    Deployments and DaemonSets with their versions, Leases, certificates, kinds and policies, and
    what nodes publish. Status 0: all is well. 1: something is not. 3: something could not be
    judged, and nothing else is wrong.
    """
    # help needs none of it
    from workbench.cluster_health.judge import judge, overall  # noqa: PLC0415
    from workbench.cluster_health.read import InstallationReader  # noqa: PLC0415
    from workbench.cluster_health.report import (  # noqa: PLC0415
        findings_document,
        findings_table,
    )
    from workbench.cluster_tables.documents import written  # noqa: PLC0415

    with one_line_errors():
        gateway, _ = connect_cluster(choice)
        reader = InstallationReader(gateway, namespace=system_namespace, now=datetime.now(UTC))
        findings = judge(reader.read())
        if output is None:
            click.echo(findings_table(findings))
        else:
            click.echo(written(findings_document(findings), output))
    raise SystemExit(_STATUS[overall(findings)])
