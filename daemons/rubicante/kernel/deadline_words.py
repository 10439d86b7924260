"""How refusals of SCHED_DEADLINE are told."""

import errno

from k40s.cpu.model import ANY_CORE

_MEANINGS = {
    errno.EBUSY: "the root domain has no room for it (EBUSY)",
    errno.EPERM: "the thread may not run on the whole root domain, or CAP_SYS_NICE lacks (EPERM)",
    errno.EINVAL: "the kernel's limits of budget or period forbid it (EINVAL)",
}


def say(error: OSError) -> str:
    """What an errno of ``sched_setattr`` means."""
    return _MEANINGS.get(error.errno or 0, str(error))


def on_core(core: int) -> str:
    """Where it was tried."""
    return " in the shared domain" if core == ANY_CORE else f" on CPU {core}"
