"""The facts that a kernel's configuration alone tells: what a node with this kernel would have."""

import re
from fractions import Fraction

from k40s.errors import InvalidInputError
from workbench.doctor.facts import Cgroups, Facts, Kernel, RtBudgets, Scheduler
from workbench.doctor.judgement.enforcement import tick_of_options
from workbench.doctor.texts import parse_options

USUAL_LIMIT = Fraction(95, 100)
"""The kernel's own sched_rt_runtime_us over its period."""
_HEADER = re.compile(r"^# Linux/\S+ (\S+) Kernel Configuration", re.MULTILINE)


def facts_of_configuration(
    text: str, *, source: str, release: str | None, cgroup_version: int | None
) -> Facts:
    """Raises ``InvalidInputError`` where the text is no configuration.

    ``release`` is that of the file's heading where None; ``cgroup_version`` is what the
    distribution mounts, which no configuration tells.
    """
    options = parse_options(text)
    if options is None:
        raise InvalidInputError(
            source=source, path="$", found=text[:40], expected="lines CONFIG_NAME=value"
        )
    heading = _HEADER.search(text)
    kernel = Kernel(
        release=release or (heading[1] if heading else ""),
        options=options,
        options_from=source,
    )
    return Facts(
        kernel=kernel,
        cgroups=_cgroups(kernel, cgroup_version),
        scheduler=Scheduler(rt_limit=USUAL_LIMIT, tick=tick_of_options(kernel)),
        whole=False,
    )


def _cgroups(kernel: Kernel, version: int | None) -> Cgroups:
    # Short configurations name what needs the cpu controller, not the controller.
    has_cpu = any(map(kernel.is_set, ("CGROUP_SCHED", "CFS_BANDWIDTH", "RT_GROUP_SCHED")))
    found = {"cpu": has_cpu, "cpuset": kernel.is_set("CPUSETS")}
    controllers = frozenset(name for name, there in found.items() if there)
    if version is None:
        return Cgroups()
    if version != 1:
        return Cgroups(v2=controllers)
    has_budgets = kernel.is_set("RT_GROUP_SCHED") and not kernel.is_set(
        "RT_GROUP_SCHED_DEFAULT_DISABLED"
    )
    # Kernels before 6.12 have no such option, and v1 cpusets.
    has_cpusets = "cpuset" in controllers and (kernel.options or {}).get("CPUSETS_V1") != "n"
    return Cgroups(
        v1=controllers,
        rt=RtBudgets(limit=USUAL_LIMIT) if has_budgets else None,
        balanced=("/",) if has_cpusets else None,
    )
