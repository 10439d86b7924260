"""The profile of a node's kernel, as malacoda reads it, from what the experiment shows."""

import re
from datetime import datetime

from k40s.assurance.detector import Rule
from k40s.assurance.profile import Evidence, Origin, Profile, ProfileRule, format_profile
from workbench.calibration.assurance.judgement.findings import Findings, VictimFindings
from workbench.calibration.assurance.judgement.thresholds import Threshold
from workbench.calibration.assurance.judgement.windows import LENGTH

_BY = "k40s calibrate assurance"
_LONGEST_NAME = 63


def build_profile(findings: Findings, *, name: str, at: datetime) -> Profile | None:
    """The rules of all victims; None where no metric tells harm from no harm.

    Votes, window and hold are malacoda's own: they are persistence, and no metric's property.
    """
    entries = tuple(
        _entry(rule, victim) for victim in findings.victims for rule in victim.rules.rules
    )
    if not entries:
        return None
    setting = findings.setting
    return Profile(
        name=name,
        made=Origin(kernel=_ascii(setting.kernel), machine=_ascii(setting.machine), by=_BY, at=at),
        entries=entries,
        period=LENGTH,
    )


def format_found(findings: Findings, *, name: str, at: datetime) -> str | None:
    """The profile's text; None where there are no rules."""
    profile = build_profile(findings, name=name, at=at)
    return None if profile is None else format_profile(profile)


def default_name(kernel: str) -> str:
    """A profile's name from a kernel's release."""
    text = re.sub(r"[^a-z0-9.-]+", "-", f"kernel-{kernel}".lower())
    return text[:_LONGEST_NAME].strip("-.")


def _entry(threshold: Threshold, found: VictimFindings) -> ProfileRule:
    score = next(each.score for each in found.scores if each.metric is threshold.metric)
    quality = threshold.quality
    return ProfileRule(
        rule=Rule(
            metric=threshold.metric,
            raise_at=threshold.raise_at,
            clear_at=threshold.clear_at,
            harms=frozenset({found.victim}),
        ),
        note=f"score {score:.2f} of 1",
        evidence=Evidence(
            precision=round(quality.precision, 4),
            recall=round(quality.recall, 4),
            windows=quality.windows,
        ),
    )


def _ascii(text: str) -> str:
    """At most 200 printable ASCII characters."""
    return re.sub(r"[^ -~]+", " ", text)[:200].strip() or "unknown"
