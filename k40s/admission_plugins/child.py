"""``python -m k40s.admission_plugins.child NAME``: the child process of one installed test.

It reads questions and writes answers, a line each (``protocol``), without capabilities. The first
line is empty once the test is ready, or says why it cannot be used. The test's stdout goes to the
log.
"""

import ctypes
import os
import resource
import sys

from k40s.admission_plugins.protocol import format_outcome, parse_question
from k40s.admission_plugins.registry import AdmissionTestError, Guarded, import_admission_test
from k40s.runtime.log import configure

_MEMORY = 256 << 20
"""Bytes of data that a test may have: well below the memory limit of the pods that run one."""
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIGKILL = 9
_CAPABILITIES_VERSION = 0x20080522
_CAPABILITY_WORDS = 6


def main() -> None:
    """Answer until the parent closes the pipe, or dies."""
    name = sys.argv[1]
    drop_privileges()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    configure("info", sys.stderr)
    try:
        test = Guarded(name, import_admission_test(name))
    except AdmissionTestError as error:
        print(str(error).replace("\n", " "), file=answers, flush=True)
        return
    print(file=answers, flush=True)
    for line in sys.stdin:
        node, demand = parse_question(line)
        print(format_outcome(test(node, demand)), file=answers, flush=True)


def drop_privileges() -> None:
    """Drop all capabilities, set no_new_privs, bound the memory, and die with the parent.

    None of it needs a privilege; a kernel that refuses a step leaves it out.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    nothing = (ctypes.c_uint32 * _CAPABILITY_WORDS)()
    library.capset(header, nothing)


if __name__ == "__main__":
    main()
