"""What the documents list is what the code has."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry

from controller.metrics import (
    ANSWERS,
    ENDS,
    EVICTIONS,
    KINDS,
    PLANS,
    WRITES,
    CollectionMetrics,
    ControllerMetrics,
    EvictionMetrics,
    Method,
    PreemptionMetrics,
    TenantCollectionMetrics,
)
from controller.metrics import EventReason as MigrationReason
from controller.preemption_rules.candidates import Obstacle as PreemptionObstacle
from controller.preemption_rules.progress import End
from daemons.malacoda.actuator.mode import CulpritMode
from daemons.malacoda.actuator.protocol import Result, Verb
from daemons.malacoda.condition import ConditionReason
from daemons.malacoda.culprit.events import EventReason as CulpritEventReason
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.harm.metrics import HarmMetrics
from daemons.malacoda.metrics import MonitorMetrics, PodReportMetrics, ProfileMetrics, ReportMetrics
from daemons.malacoda.response.metrics import ResponseMetrics
from daemons.malacoda.response.reports import UNREACHABLE
from daemons.malacoda.sampling.sampler import SOURCES
from daemons.malacoda.sampling.usage import USAGE_SOURCES
from daemons.rubicante.cluster.pod_events import EventReason
from daemons.rubicante.enforcement.conditions import Trouble
from daemons.rubicante.metrics import (
    BookMetrics,
    EnforcementMetrics,
    ExchangeMetrics,
    FeedbackMetrics,
    ReconciliationMetrics,
    TimerMetrics,
)
from daemons.rubicante.monitoring.audit import Difference
from daemons.scarmiglione.cluster.events import EventReason as SlotEventReason
from daemons.scarmiglione.metrics import CAUSES, DRIFTS, SlotMetrics, StationMetrics
from daemons.scarmiglione.monitoring.health import Health
from daemons.scarmiglione.slots.entry import Phase
from extender.metrics import VERBS, ExtenderMetrics
from extender.monitoring.silent_daemons import SILENCE
from insight.metrics import KINDS as INSIGHT_KINDS
from insight.metrics import OUTCOMES as INSIGHT_OUTCOMES
from insight.metrics import REVIEWS as INSIGHT_REVIEWS
from insight.metrics import ROUTES, STREAM_ENDS, STREAM_LIMITS, InsightMetrics
from k40s import annotations
from k40s.annotations import (
    CPU_STATE_KEY,
    CPU_STATE_SINCE_KEY,
    CRITICALITY_KEY,
    REAL_TIME_LABEL,
    RUNTIME_LABEL_PREFIX,
    TASKS_KEY,
    parse_cpu_state,
    parse_network_grants,
    parse_network_requirements,
    parse_network_state,
    parse_node_assurance,
    parse_pod_metric,
    read_workload,
)
from k40s.assurance.eviction import EvictionObstacle
from k40s.assurance.gamma import Severity
from k40s.assurance.metrics import Metric
from k40s.assurance.migration.candidates import Obstacle
from k40s.assurance.profile import parse_profile
from k40s.assurance.response.harm import Gauge
from k40s.assurance.suspects.verdict import Verdict
from k40s.ledger.collection import REMOVALS
from k40s.node_api.messages import parse_allocation
from k40s.pki.metrics import CertificateMetrics
from k40s.reasons import Reason
from monitoring.alerts import ALERTS as GROUPS
from webhook.metrics import OUTCOMES, REVIEWS, WebhookMetrics

DOCS = Path("docs")


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(name: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = [line for line in text(name).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_reasons_are_listed_with_their_texts_and_in_order() -> None:
    listed = [(row[0].strip("`"), row[1]) for row in rows("reasons.md") if "`" in row[0]]

    assert listed == [(reason.value, reason.text) for reason in Reason]


def test_every_key_is_listed() -> None:
    keys = {
        getattr(annotations, name)
        for name in annotations.__all__
        if name.endswith(("_KEY", "_LABEL", "_LABEL_PREFIX"))
    }
    table = [row for row in rows("annotations.md") if row[0].startswith("`") and len(row) == 5]

    assert {row[0].strip("`") for row in table} == keys


def test_uninstalling_removes_every_key_of_nodes() -> None:
    section = text("operations.md").partition("\n## Uninstall\n")[2].partition("\n## ")[0]
    by_give_back = {REAL_TIME_LABEL, CPU_STATE_KEY, CPU_STATE_SINCE_KEY}
    table = [row for row in rows("annotations.md") if len(row) == 5 and row[1] == "Node"]
    keys = {row[0].strip("`") for row in table if row[2] in ("annotation", "label")}

    removed = set(re.findall(r"([\w./-]+k40s[.]io/[\w-]+|k40s[.]io/[\w-]+)-(?= |\n)", section))

    assert sorted(keys - by_give_back - {RUNTIME_LABEL_PREFIX} - removed) == []
    assert RUNTIME_LABEL_PREFIX.replace(".", "[.]") in section


def test_the_examples_of_values_can_be_read() -> None:
    page = text("annotations.md")
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    allocation, assurance, state, grants, stations = blocks
    pod, _gate, metric, networked = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    needs = networked.split("|\n", 1)[1].split("spec:")[0]
    tasks = pod.split("|\n", 1)[1].split("spec:")[0]

    assert parse_allocation(allocation, pod_uid="u")[0].tasks[0].name == "control"
    assert parse_node_assurance(assurance).level == 12
    assert parse_cpu_state(state).complete
    read = read_workload(labels={}, annotations={CRITICALITY_KEY: "HI", TASKS_KEY: tasks})
    assert read.tasks[0].priority == 10
    assert parse_pod_metric(metric.split("'")[1]).samples == 3
    assert len(parse_network_requirements(needs)) == len(parse_network_grants(grants)) == 2
    assert parse_network_state(stations).networks["plant"].channels == 61
    profile = re.findall(r"```json\n(.*?)```", text("assurance.md"), re.DOTALL)[1]
    assert parse_profile(profile, source="assurance.md").name == "edge-6.18"


def test_malacodas_metrics_are_listed() -> None:
    registry = CollectorRegistry()
    faults = MonitorMetrics(registry).faults
    CulpritMetrics(registry, CulpritEventReason, faults=faults)
    PodReportMetrics(registry)
    ProfileMetrics(registry)
    HarmMetrics(registry, faults=faults)
    acts = [verb for verb in Verb if verb.step is not None]
    ResponseMetrics(registry, acts=acts, results=Result)
    ReportMetrics(registry)
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    }
    listed = set(re.findall(r"`(k40s_malacoda_\w+)", text("metrics.md")))

    assert listed == exported
    assert all(f"`{metric.value}`" in text("metrics.md") for metric in Metric)
    assert all(f"`{source}`" in text("metrics.md") for source in (*SOURCES, *USAGE_SOURCES))
    assert all(f"`{value}`" in text("metrics.md") for value in (*Verdict, *CulpritEventReason))
    assert all(f"`{value}`" in text("metrics.md") for value in (*acts, *Result, UNREACHABLE))
    assert all(f"`{gauge.value}`" in text("metrics.md") for gauge in Gauge)
    assert all(f"`{severity.name.lower()}`" in text("metrics.md") for severity in Severity)


def test_every_reason_of_the_nodes_condition_is_listed() -> None:
    page = text("assurance.md")

    assert all(f"| `{reason.value}` |" in page for reason in ConditionReason)
    assert all(f"| `{value}` |" in text("assurance.md") for value in (*Verdict, *CulpritMode))


def exported_metrics(registry: CollectorRegistry) -> dict[str, str]:
    """Name -> type of all that a process exports."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in registry.collect()
    }


def listed_metrics(process: str) -> dict[str, str]:
    """The same as docs/metrics.md lists it."""
    return {
        match[1]: row[1]
        for row in rows("metrics.md")
        if (match := re.match(rf"`(k40s_{process}_\w+)", row[0]))
    }


def test_rubicantes_metrics_are_listed_with_their_labels() -> None:
    registry = CollectorRegistry()
    for metrics in (
        BookMetrics,
        EnforcementMetrics,
        ExchangeMetrics,
        FeedbackMetrics,
        ReconciliationMetrics,
        TimerMetrics,
    ):
        metrics(registry)
    CertificateMetrics(registry, process="rubicante", certificates={})

    assert listed_metrics("rubicante") == exported_metrics(registry)
    assert all(
        f"`{value}`" in text("metrics.md") for value in (*EventReason, *Trouble, *Difference)
    )


def test_scarmigliones_metrics_are_listed_with_their_labels() -> None:
    registry = CollectorRegistry()
    SlotMetrics(registry)
    StationMetrics(registry, health=Health)
    CertificateMetrics(registry, process="scarmiglione", certificates={})
    section = text("metrics.md").partition("## scarmiglione")[2].partition("\n## ")[0]

    assert listed_metrics("scarmiglione") == exported_metrics(registry)
    values = (*DRIFTS, *CAUSES, *Phase, *SlotEventReason)
    assert [value for value in values if f"`{value}`" not in section] == []
    assert re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)[1:] == list(Health)
    warned = set(SlotEventReason) - {SlotEventReason.APPLIED}
    assert [one for one in warned if f"event `{one}`" not in text("operations.md")] == []


def test_the_controllers_metrics_are_listed_with_their_labels() -> None:
    registry = CollectorRegistry()
    ControllerMetrics(registry)
    CollectionMetrics(registry)
    PreemptionMetrics(registry)
    TenantCollectionMetrics(registry)
    EvictionMetrics(registry)
    CertificateMetrics(registry, process="controller", certificates={})
    section = text("metrics.md").partition("## controller")[2].partition("\n## ")[0]

    assert listed_metrics("controller") == exported_metrics(registry)
    values = (*Obstacle, *EvictionObstacle, *Method, *MigrationReason)
    values = (*values, *ANSWERS, *ENDS, *KINDS, *WRITES, *REMOVALS)
    values = (*values, *PreemptionObstacle, *End, *EVICTIONS, *PLANS)
    assert [value for value in values if f"`{value}`" not in section] == []
    assert all(f"`{reason}`" in text("operations.md") for reason in MigrationReason)


def test_the_webhooks_metrics_are_listed_with_their_labels() -> None:
    registry = CollectorRegistry()
    WebhookMetrics(registry)
    CertificateMetrics(registry, process="webhook", certificates={})
    section = text("metrics.md").partition("## webhook")[2]

    assert listed_metrics("webhook") == exported_metrics(registry)
    assert [value for value in (*REVIEWS, *OUTCOMES) if f"`{value}`" not in section] == []


def test_the_extenders_metrics_are_listed_with_their_labels() -> None:
    registry = CollectorRegistry()
    ExtenderMetrics(registry)
    CertificateMetrics(registry, process="extender", certificates={})
    section = text("metrics.md").partition("## extender")[2].partition("\n## ")[0]

    assert listed_metrics("extender") == exported_metrics(registry)
    assert [one for one in (*SILENCE, *VERBS) if f"`{one}`" not in section] == []


ALERTS = {alert.name: alert for alerts in GROUPS.values() for alert in alerts}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    sections = re.findall(
        r"^### (\w+)\n(.*?)(?=\n##|\Z)", text("runbooks.md"), re.MULTILINE | re.DOTALL
    )
    parts = ("**Cause.** ", "**Check.**\n\n```\n", "**Repair.** ")

    assert [name for name, _ in sections] == list(ALERTS)
    assert [name for name, body in sections if not all(part in body for part in parts)] == []
    assert {alert.anchor for alert in ALERTS.values()} <= anchors(DOCS / "runbooks.md")


def test_the_runbooks_list_each_alert_with_its_severity_and_expression() -> None:
    table = re.findall(
        r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \| `(.*)`(.*) \|$", text("runbooks.md"), re.MULTILINE
    )

    listed = {name: (severity, expr, lasts) for name, _, severity, expr, lasts in table}

    assert listed == {
        name: (
            alert.severity.value,
            alert.expr.replace("|", "\\|"),
            "" if alert.lasts == "0m" else f" for {alert.lasts}",
        )
        for name, alert in ALERTS.items()
    }
    assert f"{len(ALERTS)} Prometheus alerts" in text("monitoring.md")


def test_insights_metrics_are_listed_with_their_labels() -> None:
    registry = CollectorRegistry()
    InsightMetrics(registry)
    CertificateMetrics(registry, process="insight", certificates={})
    section = text("metrics.md").partition("## insight")[2]
    values = (
        *(*ROUTES, *INSIGHT_OUTCOMES, *INSIGHT_REVIEWS, *INSIGHT_KINDS),
        *(*STREAM_ENDS, *STREAM_LIMITS),
    )

    assert listed_metrics("insight") == exported_metrics(registry)
    assert [value for value in values if f"`{value}`" not in section] == []


PAGES = sorted([*DOCS.glob("*.md"), Path("README.md"), Path("CONTRIBUTING.md")])
"""Decision records are history: a path in them may have moved since."""

FOLDERS = (
    "bench|cli|controller|daemons|demo|distributions|docs|extender|insight|k40s|localcluster|"
    "manifests|monitoring|tests|webhook|workbench"
)


def prose(page: Path) -> str:
    """A page without plans for files that do not exist yet."""
    whole = page.read_text(encoding="utf-8")
    return re.sub(
        r"## Where new capabilities will live\n.*?(?=\n## |\Z)", "", whole, flags=re.DOTALL
    )


def names(pattern: str) -> list[tuple[str, str]]:
    return sorted(
        {(page.name, name) for page in PAGES for name in re.findall(pattern, prose(page))}
    )


def test_every_path_named_exists() -> None:
    found = names(rf"(?<![\w./-])((?:{FOLDERS})/[\w./*-]*\w)")

    missing = [one for one in found if not list(Path().glob(one[1]))]

    assert len(found) > 60
    # The user's checkout is called k40s in docs/operations.md.
    assert [one for one in missing if not one[1].startswith("k40s/manifests/")] == []


def test_every_module_file_named_exists() -> None:
    found = names(r"(?<![\w./-])([a-z]\w*\.py)\b")
    files = {path.name for folder in FOLDERS.split("|") for path in Path(folder).rglob("*.py")}

    assert len(found) > 20
    assert [one for one in found if one[1] not in files] == []


def is_name(dotted: str) -> bool:
    """Whether it is a module, a package, or names in a module."""
    parts = dotted.split(".")
    for depth in range(len(parts), 0, -1):
        module = Path(*parts[:depth])
        if (module / "__init__.py").is_file():
            return depth == len(parts)
        if module.with_suffix(".py").is_file():
            source = module.with_suffix(".py").read_text(encoding="utf-8")
            return all(re.search(rf"\b{word}\b", source) for word in parts[depth:])
    return False


def test_every_dotted_name_is_a_module_or_a_name_in_one() -> None:
    domains = r"(?:io|dev|admission_tests|md)\b"
    # Rooms of several processes are called monitoring, as the source of the boards is.
    folders = FOLDERS.replace("monitoring|", "")
    found = names(rf"(?<![\w./-])((?:{folders})(?:\.(?!{domains})[A-Za-z_]\w*)+)")

    assert len(found) > 20
    assert [one for one in found if not is_name(one[1])] == []


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    broken = []
    for page in [*PAGES, *DOCS.glob("adr/*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text("utf-8")):
            if target.startswith("http"):
                continue
            linked = page.parent / target if target else page
            if not linked.exists() or (anchor and anchor not in anchors(linked)):
                broken.append((page.name, target, anchor))

    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_test_named_exists() -> None:
    found = names(r"`(test_\w+)`")
    sources = "\n".join(path.read_text("utf-8") for path in Path("tests").rglob("test_*.py"))

    assert found
    assert [one for one in found if f"def {one[1]}(" not in sources] == []


def test_pictures_of_layers_are_the_contracts() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    contracts = {
        contract["containers"][0]: [layers_of(line) for line in contract["layers"]]
        for contract in project["tool"]["importlinter"]["contracts"]
        if "containers" in contract
    }
    drawn = {
        title.replace("/", "."): [
            layers_of(re.split(r"\s{2,}", line)[0]) for line in picture.splitlines()
        ]
        for title, picture in re.findall(
            r"^### ([\w/]+):.*?\n\n```\n(.*?)```", text("architecture.md"), re.MULTILINE | re.DOTALL
        )
    }

    assert len(drawn) == 11
    assert drawn == {name: contracts[name] for name in drawn}


def layers_of(line: str) -> set[str]:
    return {name.strip() for name in line.split("|")}


@cache
def logged() -> frozenset[str]:
    """Every constant text of a log call, and of what passes texts on to one."""
    calls = [
        node
        for folder in ("k40s", "extender", "controller", "webhook", "insight", "daemons")
        for path in Path(folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    ways = {"debug", "info", "warning", "error", "exception", "_log", "failed"}
    return frozenset(
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in ways and call.args
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    )


def test_every_log_message_named_is_logged() -> None:
    section = text("operations.md").partition("## Log messages")[2].partition("\n## ")[0]
    table = [row for row in section.splitlines() if row.startswith("| `")]
    listed = [name for row in table for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    quoted = names(r"""\blogs?(?: says)? ["`]([a-z][^"`]+)["`]""")
    shown = names(r""""message": "([^"]+)\"""")
    named = {*listed, *(name for _, name in quoted + shown)}

    assert len(listed) > 30
    assert len(quoted) > 3
    assert sorted(named - logged()) == []


def test_searches_in_logs_find_something() -> None:
    searches = names(r"""logs [^|\n]*\| grep (?:-E )?["']?([\w |]+?)["']? *(?:#|\n)""")
    words = [word for _, search in searches for word in search.split("|")]

    assert len(words) >= 6
    assert [word for word in words if not any(word in message for message in logged())] == []
