"""Laws of the doctor: whatever a machine's files hold, there is a verdict, and it is consistent."""

from hypothesis import given
from hypothesis import strategies as st

from k40s.cpu.model import Mechanism
from k40s.units import Nanoseconds
from tests.fakes.recorded_files import RecordedFiles, recorded
from workbench.doctor.files import Reader
from workbench.doctor.findings import ANY, Level, Verdict, is_met
from workbench.doctor.gather import Running, gather
from workbench.doctor.judgement.judge import judge
from workbench.doctor.report import verdict_object, verdict_text

TEXTS = recorded("cgroup-v1-kubelet").texts
PATHS = sorted(TEXTS)
NUMBERS = st.integers(-(10**30), 10**30).map(str)
CONTENTS = st.one_of(
    st.binary(max_size=60),
    NUMBERS,
    NUMBERS.map(lambda hz: f"CONFIG_HZ={hz}"),
    st.sampled_from(["", "-1", "0", "1", "root", "cgroup2 /x cgroup2 rw 0 0", "²", "0-99999999"]),
)


def verdict_of(files: RecordedFiles) -> Verdict:
    return judge(gather(Reader(files), Running(release="6.18.44", tick=Nanoseconds(4_000_000))))


@given(st.dictionaries(st.sampled_from(PATHS), CONTENTS), st.sets(st.sampled_from(PATHS)))
def test_any_content_and_any_refusal_end_in_a_verdict(
    changed: dict[str, str | bytes], denied: set[str]
) -> None:
    verdict = verdict_of(RecordedFiles({**TEXTS, **changed}, tuple(denied)))

    assert verdict_text(verdict, (ANY,))
    assert verdict_object(verdict, (ANY,))["mechanisms"] == list(verdict.mechanisms)
    for found in verdict.findings:
        assert found.level is Level.OK or found.remedy


@given(st.dictionaries(st.sampled_from(PATHS), CONTENTS), st.sets(st.sampled_from(PATHS)))
def test_any_mechanism_is_there_exactly_where_one_of_them_is(
    changed: dict[str, str | bytes], denied: set[str]
) -> None:
    verdict = verdict_of(RecordedFiles({**TEXTS, **changed}, tuple(denied)))
    single = [is_met(verdict, mechanism.value) for mechanism in Mechanism]

    assert (is_met(verdict, ANY) is True) is (True in single)
    assert (is_met(verdict, ANY) is False) is all(answer is False for answer in single)
    assert (len(verdict.mechanisms) > 0) is (True in single)


@given(st.sets(st.sampled_from(PATHS)))
def test_what_was_refused_is_listed(denied: set[str]) -> None:
    verdict = verdict_of(RecordedFiles(TEXTS, tuple(denied)))

    assert {gap.path for gap in verdict.gaps} <= denied
    assert all(gap.cause == "permission denied" for gap in verdict.gaps)
