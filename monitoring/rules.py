"""Alerts as Prometheus's rule groups, and as the operator's object. Pure."""

from collections.abc import Mapping, Sequence

from monitoring.model import Alert

Groups = Mapping[str, Sequence[Alert]]
RUNBOOKS = "docs/runbooks.md"


def format_groups(groups: Groups, *, runbooks: str | None = None) -> dict[str, object]:
    """A rule file's contents; ``runbooks`` is the address of the page, for ``runbook_url``."""
    return {
        "groups": [
            {"name": name, "rules": [_rule(alert, runbooks) for alert in alerts]}
            for name, alerts in groups.items()
        ]
    }


def format_object(groups: Groups, *, runbooks: str | None = None) -> dict[str, object]:
    """The same as a PrometheusRule."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "k40s",
            "namespace": "k40s-system",
            "labels": {"app.kubernetes.io/part-of": "k40s"},
        },
        "spec": format_groups(groups, runbooks=runbooks),
    }


def _rule(alert: Alert, runbooks: str | None) -> dict[str, object]:
    annotations = {
        "summary": alert.summary,
        "description": alert.action,
        "runbook": f"{RUNBOOKS}#{alert.anchor}",
    }
    if runbooks is not None:
        annotations["runbook_url"] = f"{runbooks}#{alert.anchor}"
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **({} if alert.lasts == "0m" else {"for": alert.lasts}),
        "labels": {"severity": alert.severity.value},
        "annotations": annotations,
    }
