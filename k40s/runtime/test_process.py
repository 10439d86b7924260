"""``python -m k40s.runtime.test_process NAME``: one installed schedulability test, by itself.

It reads questions and writes answers, a line each (``k40s.admission_text``), without capabilities.
The first line is empty once the test can be asked, or says why it cannot. What a test prints goes
to the log.
"""

import ctypes
import os
import resource
import sys

from k40s.admission_text import format_outcome, parse_question
from k40s.runtime.admission_tests import AdmissionTestError, Guarded, import_admission_test
from k40s.runtime.log import configure

_MEMORY = 256 << 20
"""Bytes of data that a test may have: well below the memory limit of the pods that run one."""
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIGKILL = 9
_CAPABILITIES_VERSION = 0x20080522
_CAPABILITY_WORDS = 6


def main() -> None:
    """Answer until the other side closes, or dies."""
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
    """No capability, none by a set-uid program either, bounded memory, and an end with the parent.

    All of it is asked for without any privilege. A kernel that refuses leaves things as they are.
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
