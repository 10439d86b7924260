"""``python -m monitoring``: writes boards and rules into manifests/components."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from monitoring.grafana import format_board
from monitoring.rules import format_groups, format_object

_NOTE = "# Written by `make boards` from monitoring/; change it there.\n"
COMPONENTS = Path(__file__).parents[1] / "manifests" / "components"


def files(*, runbooks: str | None = None) -> Iterator[tuple[Path, str]]:
    """Each file below ``manifests/components``, with its text."""
    for name, board in BOARDS.items():
        text = json.dumps(format_board(board), indent=2, ensure_ascii=False)
        yield Path("monitoring/boards") / f"{name}.json", f"{text}\n"
    groups = format_groups(ALERTS, runbooks=runbooks)
    yield Path("monitoring/alerts.yaml"), _NOTE + _yaml(groups)
    rules = format_object(ALERTS, runbooks=runbooks)
    yield Path("monitoring/operator/alerts.yaml"), _NOTE + _yaml(rules)


def main() -> None:
    """Write them, into the checkout or elsewhere."""
    parser = argparse.ArgumentParser(prog="python -m monitoring", description=__doc__)
    parser.add_argument("--output", type=Path, default=COMPONENTS, help="directory to write to")
    parser.add_argument(
        "--runbooks", metavar="URL", help="where your docs/runbooks.md is; adds runbook_url"
    )
    arguments = parser.parse_args()
    for path, text in files(runbooks=arguments.runbooks):
        target = arguments.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    main()
