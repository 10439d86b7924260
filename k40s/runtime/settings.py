"""A process's settings: one frozen dataclass, filled from environment variables.

All bad variables are reported at once, and so are those that no process knows: a name that is
misspelt would leave a default in force. Values carry their unit (``"30s"``, not ``30``).
"""

import difflib
import re
import types
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from k40s.errors import K40sError
from k40s.http.listening import HOST_FORM, Host, parse_host
from k40s.units import CPU_LIST_FORM, DURATION_FORM, Nanoseconds, parse_cpu_list, parse_duration

PREFIX = "K40S_"
_FIELDS = """
    actuator_acts actuator_holds actuator_peer actuator_silence actuator_socket actuator_store
    admission_test allowed_clients bind_timeout cgroup_path cgroup_root client_tls_directory
    controller_name core_capacity cpu_cgroup_path cpus cpuset_cgroup_path culprit culprit_quota
    default_priority default_scheduler default_tolerations dry_run evict_culprits evictions_per_hour
    exchange extender_name extender_port extender_service extender_timeout filter_patience
    gamma_alarm gamma_longest_quiet gamma_quiet gamma_timeout group_prefix groups hardware_assurance
    hi_reserve high_priority_class high_threshold host hrtick identity insight_name kubeconfig
    leader_lease lease lease_namespace listen_host load_balance_off log_level low_priority_class
    low_threshold mechanisms migration_hold_off migration_interval migration_owner_cooldown
    migration_pod_cooldown migration_rest migration_retry migration_surge_timeout
    migrations_per_hour migrations_per_namespace mutating_configuration namespace network_back_end
    network_lease network_timeout node_name overruns_path packing pod_ip pod_uid port preemption
    preemption_claim preemption_hold_off preemption_interval preemption_namespace_victims_per_hour
    preemption_rest preemption_retry preemption_settle preemption_victims_per_hour probe_port
    proc_path profile_path reservation_lease reserve_timeout rt_capacity rubicante_name
    runtime_classes sampling_period scarmiglione_name scheduler_debug_path scheduler_name
    session_lifetime settling_time station_timeout store streams streams_per_user sys_path
    tdma_last_slot tdmacfg_path tenant_timeout threads tick tls_directory token_audiences
    unified_cgroup_path validating_configuration
"""
NAMES = frozenset(PREFIX + field.upper() for field in _FIELDS.split())
"""The environment variables of all processes. Processes share an environment, and the daemons of a
node its file, so each meets settings of the others. A test compares them with the fields."""

T = TypeVar("T")
Port = NewType("Port", int)
"""A TCP port; 0 has the system choose one."""
LogLevel = NewType("LogLevel", str)
"""How much is logged, in capitals."""
DEFAULT_LEVEL = LogLevel("INFO")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18}|/[0-9]{1,18})?", re.ASCII)
"""Without exponents: ``Fraction`` writes them out, however large they are."""
_MAX_SHOWN = 80
_SERVICE = re.compile(
    r".+_(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_.+)?)", re.ASCII
)
"""What Kubernetes sets in a pod for each Service of the namespace (``enableServiceLinks``)."""
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+", re.ASCII)
_MAX_PORT = 65_535
NODE_FILES = Path("/etc/k40s/node")
"""Where the settings of single nodes are mounted, as ``<node>.env``."""


class SettingsError(K40sError):
    """Variables that are missing or cannot be understood; ``problems`` has one line for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def read_settings(cls: type[T], environ: Mapping[str, str], prefix: str = PREFIX) -> T:
    """Fill ``cls``: field ``node_name`` comes from ``K40S_NODE_NAME``, or has a default.

    An empty variable counts as absent, and so does what Kubernetes sets for a Service of such a
    name. A setting of another process is left alone; a name that none knows is a problem. Field
    types: str, int, bool, Path, Fraction, Nanoseconds, Host, Port, LogLevel, ``tuple[int, ...]``
    (a CPU list such as "0,2-3"), ``tuple[str, ...]`` (separated by commas), any StrEnum, and each
    of them ``| None``. What ``__post_init__`` refuses with ValueError is reported as well.
    Raises ``SettingsError``.
    """
    hints = get_type_hints(cls)
    values: dict[str, object] = {}
    known = NAMES | {prefix + field.name.upper() for field in fields(cls)}  # type: ignore[arg-type]  # as below
    environ = {
        name: text for name, text in environ.items() if not _is_of_service(name, text, known)
    }
    problems = _unknown(environ, prefix, known)
    for field in fields(cls):  # type: ignore[arg-type]  # any dataclass; no bound says so
        name = prefix + field.name.upper()
        text = environ.get(name, "").strip()
        if not text:
            if _is_required(field):
                problems.append(f"{name}: not set, expected {_form(hints[field.name])}")
            continue
        try:
            values[field.name] = _parser(hints[field.name])(text)
        except (ValueError, ZeroDivisionError):
            form = _form(hints[field.name])
            problems.append(f"{name}: found {text[:_MAX_SHOWN]!r}, expected {form}")
    if problems:
        raise SettingsError(tuple(problems))
    try:
        return cls(**values)
    except ValueError as error:
        raise SettingsError((str(error),)) from error


def node_environment(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Lay the file ``<directory>/<K40S_NODE_NAME>.env`` over ``environ``, when there is one.

    So one DaemonSet can configure each node's own CPUs. Lines are ``NAME=value``, blank, or begin
    with "#". Raises ``SettingsError`` for any other line, for a name that stands there twice, and
    for a file that cannot be read.
    """
    merged = dict(environ)
    name = environ.get("K40S_NODE_NAME", "")
    path = directory / f"{name}.env"
    if not name or "/" in name:
        return merged
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return merged
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError((f"{path}: {error}",)) from error
    problems: list[str] = []
    given: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, equals, value = stripped.partition("=")
        key = key.strip()
        if not equals or not key.startswith(PREFIX):
            found = line[:_MAX_SHOWN]
            problems.append(f"{path} line {number}: found {found!r}, expected K40S_NAME=value")
        elif key in given:
            where = f"{path} line {number}: found {key[:_MAX_SHOWN]} again"
            problems.append(f"{where}, expected it once (line {given[key]} has it)")
        else:
            given[key] = number
            merged[key] = value.strip()
    if problems:
        raise SettingsError(tuple(problems))
    return merged


def _unknown(environ: Mapping[str, str], prefix: str, known: AbstractSet[str]) -> list[str]:
    problems = []
    for name in sorted(environ):
        if not name.startswith(prefix) or name in known or not environ[name].strip():
            continue
        shown = name[:_MAX_SHOWN]
        words = sorted(other.removeprefix(prefix) for other in known)
        close = difflib.get_close_matches(shown.removeprefix(prefix), words, n=2)
        near = " or ".join(prefix + word for word in close)
        advice = f"; did you mean {near}?" if near else ""
        problems.append(f"{shown}: not a setting of any process of k40s{advice}")
    return problems


def _is_of_service(name: str, text: str, known: AbstractSet[str]) -> bool:
    """Whether Kubernetes sets such a variable for a Service; a setting may have the same name."""
    if name.endswith("_PORT") and _SERVICE_ADDRESS.fullmatch(text.strip()):
        return True
    return name not in known and _SERVICE.fullmatch(name) is not None


def _parse_bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"not a Boolean: {text!r}")
    return text == "true"


def _parse_whole(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def _parse_fraction(text: str) -> Fraction:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"not a number: {text!r}")
    return Fraction(text)


def _parse_level(text: str) -> LogLevel:
    if text.upper() not in _LEVELS:
        raise ValueError(f"not a level: {text!r}")
    return LogLevel(text.upper())


def _parse_words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _parse_port(text: str) -> Port:
    if not (text.isascii() and text.isdecimal()) or int(text[:6]) > _MAX_PORT:
        raise ValueError(f"not a port: {text!r}")
    return Port(int(text))


_KINDS: dict[Any, tuple[Callable[[str], object], str]] = {
    str: (str, "text"),
    int: (_parse_whole, "a whole number"),
    bool: (_parse_bool, '"true" or "false"'),
    Path: (Path, "a path"),
    Fraction: (_parse_fraction, 'a number such as "0.45" or "9/20"'),
    Nanoseconds: (parse_duration, DURATION_FORM),
    Host: (parse_host, HOST_FORM),
    Port: (_parse_port, "a port from 0 to 65535"),
    LogLevel: (_parse_level, "DEBUG, INFO, WARNING or ERROR"),
    tuple[int, ...]: (parse_cpu_list, CPU_LIST_FORM),
    tuple[str, ...]: (_parse_words, "words separated by commas"),
}


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _kind(hint: Any) -> Any:  # noqa: ANN401  # a type, a NewType or a generic alias
    """Strip ``| None``: an absent variable leaves the default, so None is never written."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not types.NoneType)
    return hint


def _parser(hint: Any) -> Callable[[str], object]:  # noqa: ANN401  # as above
    kind = _kind(hint)
    return kind if _is_choice(kind) else _KINDS[kind][0]


def _form(hint: Any) -> str:  # noqa: ANN401  # as above
    kind = _kind(hint)
    return " or ".join(f'"{choice}"' for choice in kind) if _is_choice(kind) else _KINDS[kind][1]


def _is_choice(kind: Any) -> bool:  # noqa: ANN401  # as above
    return isinstance(kind, type) and issubclass(kind, StrEnum)
