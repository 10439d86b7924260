"""The profile in force: chosen by the Node's label, read again when label or file changes."""

import logging
import re
from collections.abc import Collection
from pathlib import Path

from daemons.malacoda.metrics import ProfileMetrics
from daemons.malacoda.monitor import Monitor
from k40s.annotations import ASSURANCE_PROFILE_LABEL
from k40s.assurance.metrics import Metric
from k40s.assurance.profile import (
    BUILT_IN,
    PROFILE_NAME,
    PROFILE_NAME_FORM,
    Profile,
    parse_profile,
)
from k40s.errors import InvalidInputError, K40sError
from k40s.kube.events import EventWriter
from k40s.kube.records import ObjectRef
from k40s.runtime.settings import SettingsError
from k40s.strict_json import MAX_TEXT

log = logging.getLogger(__name__)

COMPONENT = "k40s-malacoda"
PROFILE_REFUSED = "ProfileRefused"
METRIC_MISSING = "MetricMissing"
"""Reasons of events on the Node."""
_DEFAULT = "default"
_SERIES = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)


class Profiles:
    """Puts a profile in force on the monitor. A profile that is refused leaves the last one there.

    ``path`` is a file, or a directory in which the Node's label chooses ``NAME.json``; without a
    label that is ``default.json``, or the built-in profile where there is none. ``offered`` are the
    metrics that this kernel has, None where that is unknown; ``kernel`` is its release.
    """

    def __init__(
        self,
        *,
        path: Path | None,
        monitor: Monitor,
        offered: Collection[Metric] | None,
        kernel: str,
        node: str,
        writer: EventWriter,
        metrics: ProfileMetrics,
    ) -> None:
        """Raises ``SettingsError`` for a file that is no valid profile, and for no directory."""
        self.current: Profile | None = None
        self._directory = path if path is not None and path.is_dir() else None
        self._file = None if self._directory else path
        self._monitor = monitor
        self._offered = offered
        self._kernel = kernel
        self._node = ObjectRef(kind="Node", namespace="", name=node, uid=node)
        self._writer = writer
        self._metrics = metrics
        self._refusal: str | None = None
        self._reported: str | None = None
        self._blind: tuple[Metric, ...] = ()
        if self._directory is None:
            try:
                self._put(self._read(self._file, name=None))
            except (InvalidInputError, OSError) as error:
                raise SettingsError((f"K40S_PROFILE_PATH: {error}",)) from error

    @property
    def trouble(self) -> str | None:
        """Why nothing is judged, if nothing is."""
        if self.current is not None:
            return None
        return self._refusal or "the Node's label has not been read yet"

    def select(self, label: str | None) -> None:
        """Put the profile in force that a Node with this label has; None is no label."""
        try:
            profile = self._find(label)
        except (InvalidInputError, OSError) as error:
            self._refuse(str(error))
            return
        self._refusal = self._reported = None
        self._metrics.refused.set(0)
        if profile != self.current:
            self._put(profile)

    def look_for_missing(self) -> None:
        """Report rules that judge nothing, because their metric cannot be read any more."""
        blind = self._monitor.blind
        if set(blind) <= set(self._blind):
            self._blind = blind
            return
        names = ", ".join(blind)
        if self._post(METRIC_MISSING, f"no counters for {names}: rules on them judge nothing"):
            self._blind = blind

    def _find(self, label: str | None) -> Profile:
        directory = self._directory
        if directory is None:
            return self._read(self._file, name=None)
        if label is None:
            default = directory / f"{_DEFAULT}.json"
            there = default.name in {path.name for path in directory.iterdir()}
            return self._read(default if there else None, name=_DEFAULT)
        if PROFILE_NAME.fullmatch(label) is None:
            source = f"label {ASSURANCE_PROFILE_LABEL}"
            raise InvalidInputError(
                source=source, path="$", found=label, expected=PROFILE_NAME_FORM
            )
        return self._read(
            None if label == BUILT_IN.name else directory / f"{label}.json", name=label
        )

    def _read(self, path: Path | None, *, name: str | None) -> Profile:
        """Read and check a profile; ``name`` is the one that it must have, if any."""
        if path is None:
            return self._checked(BUILT_IN, "the built-in profile")
        with path.open("rb") as file:
            text = file.read(4 * MAX_TEXT + 1).decode(errors="replace")
        profile = parse_profile(text, source=str(path))
        if name is not None and profile.name != name:
            raise InvalidInputError(
                source=str(path), path="$.name", found=profile.name, expected=f"the file's: {name}"
            )
        return self._checked(profile, str(path))

    def _checked(self, profile: Profile, source: str) -> Profile:
        for index, rule in enumerate(profile.rules):
            if self._offered is not None and rule.metric not in self._offered:
                raise InvalidInputError(
                    source=source,
                    path=f"$.rules[{index}].metric",
                    found=rule.metric.value,
                    expected=f"a metric that this kernel has: {', '.join(sorted(self._offered))}",
                )
        return profile

    def _put(self, profile: Profile) -> None:
        self.current = profile
        self._monitor.follow(profile.rules)
        made = profile.made
        log.info(
            "profile in force",
            extra={
                "profile": profile.name,
                "made_for": made.kernel,
                "made_by": made.by,
                "rules": [rule.metric.value for rule in profile.rules],
            },
        )
        if _series(made.kernel) != _series(self._kernel):
            log.warning(
                "profile made for another kernel",
                extra={"profile": profile.name, "made_for": made.kernel, "kernel": self._kernel},
            )

    def _refuse(self, cause: str) -> None:
        """Report a refusal, each cause once: as a metric, in the log and on the Node."""
        self._metrics.refused.set(1)
        kept = None if self.current is None else self.current.name
        if cause != self._refusal:
            self._refusal = cause
            self._metrics.refusals.inc()
            log.error("profile refused", extra={"cause": cause, "in_force": kept})
        if cause == self._reported:
            return
        stays = "nothing is judged" if kept is None else f"profile {kept} stays in force"
        if self._post(PROFILE_REFUSED, f"{cause}; {stays}"):
            self._reported = cause

    def _post(self, reason: str, message: str) -> bool:
        try:
            self._writer.create_event(
                self._node, reason=reason, message=message, component=COMPONENT, warning=True
            )
        except K40sError as error:
            log.warning("event not written", extra={"on": self._node.name, "cause": str(error)})
            return False
        return True


def _series(release: str) -> str | None:
    """The first two numbers of a kernel's release."""
    found = _SERIES.match(release)
    return found[0] if found else None
