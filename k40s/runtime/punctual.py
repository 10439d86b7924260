"""TLS connections whose reads end with the call, however slowly an answer trickles."""

import ssl
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_call = threading.local()
"""``end``: the moment (monotonic, in seconds) at which the thread's call is over."""


def end_call_at(moment: float) -> None:
    """What this thread reads from now on has to be there by then (monotonic, in seconds)."""
    _call.end = moment


class PunctualSocket(ssl.SSLSocket):
    """Reads until the end of the call, and not for a timeout after each byte of a slow answer."""

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """Raises ``TimeoutError`` at the end of the call."""
        left = _call.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer is not complete in time")
        self.settimeout(left)
        return super().recv_into(buffer, nbytes, flags)
