import pytest

from k40s.reasons import RETIRED, Reason


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_constant_text_without_figures(reason: Reason) -> None:
    assert reason.text
    assert not any(character.isdigit() for character in reason.text.replace("k40s", ""))


def test_a_code_that_is_no_longer_given_stays_unused() -> None:
    assert RETIRED.isdisjoint(reason.value for reason in Reason)
