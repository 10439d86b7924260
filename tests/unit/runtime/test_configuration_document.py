"""docs/configuration.md says what the settings' docstrings say, to the letter."""

import ast
from pathlib import Path

import pytest

from k40s.cpu.outcome import ADMISSION_TEST
from k40s.http.listening import EVERY_ADDRESS
from k40s.runtime.settings import DEFAULT_LEVEL, NAMES

CONSTANTS = {
    "ADMISSION_TEST": ADMISSION_TEST,
    "DEFAULT_LEVEL": DEFAULT_LEVEL,
    "EVERY_ADDRESS": EVERY_ADDRESS,
}
"""Defaults that settings name."""

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "configuration.md"
SETTINGS = [
    "extender",
    "controller",
    "webhook",
    "insight",
    "daemons/malacoda",
    "daemons/malacoda/actuator",
    "daemons/rubicante",
    "daemons/scarmiglione",
]


def rows(package: str) -> list[str]:
    """The table rows that a settings module asks for, in the order of its fields."""
    source = (ROOT / package / "settings.py").read_text()
    (settings,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings")
    )
    found = []
    for field, text in zip(settings.body, settings.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign):
            continue
        assert isinstance(field.target, ast.Name)
        assert isinstance(text, ast.Expr), f"{field.target.id} has no docstring"
        assert isinstance(text.value, ast.Constant)
        meaning = " ".join(str(text.value.value).split())
        found.append(f"| `K40S_{field.target.id.upper()}` | {default(field.value)} | {meaning} |")
    return found


def default(value: ast.expr | None) -> str:
    """The default as one would write it into the environment."""
    if value is None:
        return "required"
    if isinstance(value, ast.Call):
        return f"`{call(value)}`"
    if isinstance(value, ast.Attribute):
        return f"`{value.attr.lower().replace('_', '-')}`"
    if isinstance(value, ast.Tuple):
        words = [str(ast.literal_eval(item)) for item in value.elts]
        return f"`{','.join(words)}`" if words else ""
    plain = CONSTANTS[value.id] if isinstance(value, ast.Name) else ast.literal_eval(value)
    if plain is None or plain == "":
        return ""
    return f"`{str(plain).lower() if isinstance(plain, bool) else plain}`"


def call(value: ast.Call) -> str:
    """``Path("/x")``, ``Fraction(1, 2)`` or ``Nanoseconds(30 * NS_PER_S)``."""
    assert isinstance(value.func, ast.Name)
    if value.func.id == "Nanoseconds":
        return duration(ast.unparse(value.args[0]))
    return "/".join(str(ast.literal_eval(argument)) for argument in value.args)


def duration(text: str) -> str:
    number, _, unit = text.partition(" * ")
    if not unit:
        number, unit = "1", number
    return number + {"NS_PER_S": "s", "NS_PER_MS": "ms", "_MS": "ms", "NS_PER_US": "us"}[unit]


@pytest.mark.parametrize("package", SETTINGS)
def test_the_page_has_the_row_of_every_setting(package: str) -> None:
    page = PAGE.read_text()

    assert [row for row in rows(package) if row not in page] == []


def test_the_page_has_no_other_rows() -> None:
    wanted = {row for package in SETTINGS for row in rows(package)}

    assert {line for line in PAGE.read_text().splitlines() if line.startswith("| `K40S_")} == wanted


def test_every_process_knows_the_names_of_all_settings() -> None:
    wanted = {row.split("`")[1] for package in SETTINGS for row in rows(package)}

    assert wanted == NAMES
