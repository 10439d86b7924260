"""Every k40s label and annotation on Pods and Nodes: its key, and its text as a value and back.

Whatever the text is, reading gives a value or raises ``InvalidAnnotationError``, never else.
"""

from k40s.annotations.cpu_state import CpuState, format_cores, format_cpu_state, parse_cpu_state
from k40s.annotations.keys import (
    ALLOCATION_KEY,
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    CRITICALITY_KEY,
    ENFORCEMENT_KEY,
    HARDWARE_ASSURANCE_KEY,
    PLATFORM_FACTOR_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    SOFTWARE_ASSURANCE_KEY,
    TASKS_KEY,
)
from k40s.annotations.node_assurance import (
    NodeAssurance,
    format_node_assurance,
    parse_assurance_part,
    parse_node_assurance,
    parse_platform_factor,
)
from k40s.annotations.reservation_rows import UID_LENGTH
from k40s.annotations.workload import parse_tasks, read_tasks, read_workload, task_json

__all__ = [
    "ALLOCATION_KEY",
    "ASSURANCE_CLASS_LABEL",
    "ASSURANCE_KEY",
    "CPU_STATE_KEY",
    "CRITICALITY_KEY",
    "ENFORCEMENT_KEY",
    "HARDWARE_ASSURANCE_KEY",
    "PLATFORM_FACTOR_KEY",
    "PLATFORM_LABEL",
    "REAL_TIME_LABEL",
    "SOFTWARE_ASSURANCE_KEY",
    "TASKS_KEY",
    "UID_LENGTH",
    "CpuState",
    "NodeAssurance",
    "format_cores",
    "format_cpu_state",
    "format_node_assurance",
    "parse_assurance_part",
    "parse_cpu_state",
    "parse_node_assurance",
    "parse_platform_factor",
    "parse_tasks",
    "read_tasks",
    "read_workload",
    "task_json",
]
