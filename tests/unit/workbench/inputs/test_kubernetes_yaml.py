"""YAML is read as Kubernetes reads it.

``kubernetes_yaml.json`` has what k8s.io/apimachinery 0.35.4 (sigs.k8s.io/yaml 1.6.0) made of each
text, decoded as kubectl does it: the documents that are not empty, or null where it refuses.
"""

import json
from pathlib import Path

import pytest
import yaml

from k40s.errors import InvalidInputError
from workbench.inputs.document import read_documents
from workbench.inputs.yaml_reader import LOADER

ROWS = json.loads(Path(__file__).with_name("kubernetes_yaml.json").read_text(encoding="utf-8"))
REFUSED = {
    # Kubernetes drops or changes something silently.
    "a: 1\na: 2\n",
    "a: {b: 1, b: 2}\n",
    '1: a\n"1": b\n',
    "y: a\ntrue: b\n",
    "a: 1\n...\nb: 2\n",
    '"a":1\n',
    '{"a": 1, "a": 2}',
    # Tags, and numbers as names, which nobody needs.
    "a: !!timestamp 2026-01-01\n",
    "a: !x 1\n",
    "a: !!python/object:os.system x\n",
    "a: !!binary aGk=\n",
    "1.5: v\n",
    ".inf: v\n",
    # JSON values one behind the other, instead of a List.
    '{"a": 1}{"b": 2}',
    '{"a": 1}\n{"b": 2}\n{"c": 3}\n',
    '{"a": 1}\nb: 2\n',
}
"""What Kubernetes takes and is refused here."""


def read(text: str, loader: type = LOADER) -> list[object] | None:
    try:
        found = read_documents(text, source="standard input", loader=loader)
        for place in found:
            if text.startswith("{"):
                place.members()
    except InvalidInputError:
        return None
    return [place.value for place in found]


def comparable(value: object) -> object:
    """Numbers beyond the integers of 64 bits are doubles, however their digits are written."""
    match value:
        case dict():
            return {name: comparable(member) for name, member in value.items()}
        case list():
            return [comparable(item) for item in value]
        case int() if abs(value) >= 1 << 63 and not isinstance(value, bool):
            return float(value)
    return value


def typed(value: object) -> str:
    """JSON tells true from 1, as == does not."""
    return json.dumps(comparable(value), sort_keys=True)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: ascii(row["yaml"])[1:40])
def test_a_text_is_read_as_kubernetes_reads_it_or_refused(row: dict[str, str]) -> None:
    found = read(row["yaml"])

    if row["yaml"] in REFUSED:
        assert row["documents"] is not None
        assert found is None
    else:
        assert typed(found) == typed(row["documents"])


def test_without_libyaml_nothing_is_read_otherwise() -> None:
    for row in ROWS:
        found = read(row["yaml"], loader=yaml.SafeLoader)

        assert found is None or typed(found) == typed(row["documents"]), row["yaml"]
