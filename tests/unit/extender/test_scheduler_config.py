"""The scheduler's configuration: filled in where its pod runs, or not written at all."""

from pathlib import Path

import pytest

from extender.scheduler_config import fill, main
from k40s.runtime.settings import SettingsError

TEMPLATE = (
    "namespace: $(K40S_NAMESPACE)\nurl: https://$(K40S_EXTENDER_SERVICE):8443/$(K40S_NAMESPACE)\n"
)
NAMES = {"K40S_NAMESPACE": "plant-a", "K40S_EXTENDER_SERVICE": "a-k40s-extender"}
FILLED = "namespace: plant-a\nurl: https://a-k40s-extender:8443/plant-a\n"


def test_every_variable_is_replaced_wherever_it_stands() -> None:
    assert fill(TEMPLATE, NAMES) == FILLED


def test_a_configuration_without_variables_stays_as_it_is() -> None:
    text = "url: https://extender.example.org:8443/scheduler # costs $5 $(each)\n"

    assert fill(text, {}) == text


def test_all_variables_that_are_missing_are_named() -> None:
    with pytest.raises(SettingsError) as refusal:
        fill(TEMPLATE, {"K40S_NAMESPACE": ""})

    assert [problem.split(":")[0] for problem in refusal.value.problems] == list(NAMES)
    assert "not set, expected the name of an object or a host" in str(refusal.value)


@pytest.mark.parametrize("value", ["a\nb: c", "a b", "a/b", "{", "$(K40S_NAMESPACE)", "-a", "a:1"])
def test_a_value_that_is_no_name_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="K40S_NAMESPACE: found"):
        fill(TEMPLATE, {**NAMES, "K40S_NAMESPACE": value})


def test_the_program_writes_the_file(tmp_path: Path) -> None:
    (tmp_path / "template").write_text(TEMPLATE)

    main([str(tmp_path / "template"), str(tmp_path / "target")], NAMES)

    assert (tmp_path / "target").read_text() == FILLED


def test_a_fault_ends_the_program_with_its_text_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "template").write_text(TEMPLATE)

    with pytest.raises(SystemExit, match="K40S_EXTENDER_SERVICE: not set"):
        main([str(tmp_path / "template"), str(tmp_path / "target")], {"K40S_NAMESPACE": "x"})
    with pytest.raises(SystemExit, match="No such file"):
        main([str(tmp_path / "none"), str(tmp_path / "target")], NAMES)
    with pytest.raises(SystemExit, match="usage"):
        main([], NAMES)

    assert not (tmp_path / "target").exists()
