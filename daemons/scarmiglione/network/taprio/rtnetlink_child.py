"""The program of a child process that talks rtnetlink, and changes schedules at their time.

It is started by its path, without site packages, so it imports none of this repository.
"""

import socket
import struct
import sys
import time
from collections.abc import Callable

_LOOK_SECONDS = 0.001
_SOL_NETLINK, _EXTENDED_ACK = 270, 11
_NEW_QDISC, _ERROR, _DONE = 36, 2, 3
_ROOT = 0xFFFFFFFF
_HEADER, _TCMSG = 16, 20
_OPTIONS, _ADMIN = 2, 7
_TYPE = 0x3FFF


def change_over(
    times: tuple[int, int, int, int],
    *,
    patience: int,
    hold: Callable[[], object],
    change: Callable[[], bool],
    release: Callable[[], object],
    is_pending: Callable[[], bool],
    now: Callable[[], int],
    sleep: Callable[[float], object],
) -> None:
    """Hold classes, change the schedule, and release them once the kernel has begun it.

    ``times`` are when to hold, when the schedule begins, when to release (``CLOCK_TAI``), and its
    period, in ns. A timer of the kernel that is late keeps all gates open, and the schedule is
    pending meanwhile: classes are held for up to ``patience`` ns more. ``change`` says whether the
    kernel took it; where it did not, nothing is waited for.
    """
    hold_at, begin, release_at, period = times
    settle = release_at - begin

    def sleep_until(when: int) -> None:
        while (left := when - now()) > 0:
            sleep(left / 1e9)

    try:
        sleep_until(hold_at)
        hold()
        if not change():
            return
        late = now() - begin
        if late >= 0:  # then it begins that many periods later
            release_at += (late // period + 1) * period
        sleep_until(release_at)
        looks = 0
        while is_pending() and now() < release_at + patience:
            looks += 1
            sleep(_LOOK_SECONDS)
        if looks:
            sleep(settle / 1e9)
    finally:
        release()


def has_pending(answer: bytes, index: int) -> bool:
    """Whether a dump has a schedule that waits at the root of device ``index``."""
    for kind, body in _messages(answer):
        if kind != _NEW_QDISC or len(body) < _TCMSG:
            continue
        _family, device, _handle, parent, _info = struct.unpack_from("=BxxxiIII", body)
        if device == index and parent == _ROOT:
            options = _attributes(body[_TCMSG:]).get(_OPTIONS, b"")
            return _ADMIN in _attributes(options)
    return False


def is_refused(answer: bytes) -> bool:
    """Whether the kernel refused a request."""
    return any(
        kind == _ERROR and struct.unpack_from("=i", body)[0] != 0
        for kind, body in _messages(answer)
    )


def _messages(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while len(data) >= _HEADER:
        length, kind = struct.unpack_from("=IH", data)
        length = max(_HEADER, length)
        found.append((kind, data[_HEADER:length]))
        data = data[(length + 3) & ~3 :]
    return found


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:  # noqa: PLR2004 - the size of an attribute's head
        length, kind = struct.unpack_from("=HH", data)
        length = max(4, length)
        found[kind & _TYPE] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


class Link:
    """A socket of rtnetlink; every receipt takes ``seconds`` at most."""

    def __init__(self, seconds: float) -> None:
        self._link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._link.setsockopt(_SOL_NETLINK, _EXTENDED_ACK, 1)
        self._link.settimeout(seconds)
        self._link.bind((0, 0))

    def ask(self, request: str) -> list[bytes]:
        """All datagrams up to the end of the answer, or the acknowledgement."""
        self._link.send(bytes.fromhex(request))
        answers: list[bytes] = []
        ended = False
        while not ended:
            answers.append(self._link.recv(1 << 18))
            ended = any(kind in {_ERROR, _DONE} for kind, _body in _messages(answers[-1]))
        return answers

    def tell(self, *requests: str) -> bool:
        """Print the answers to all requests; whether none was refused."""
        answers = [answer for request in requests for answer in self.ask(request)]
        for answer in answers:
            sys.stdout.write(f"{answer.hex()}\n")
        return not any(map(is_refused, answers))


def main(arguments: list[str]) -> None:
    """``SECONDS exchange REQUEST…`` or ``SECONDS change PATIENCE INDEX TIMES… and requests``."""
    link = Link(float(arguments[0]))
    if arguments[1] == "exchange":
        link.tell(*arguments[2:])
        return
    patience, index, hold_at, begin, release_at, period = map(int, arguments[2:8])
    holds, changes, dumps, releases = (words.split() for words in arguments[8:12])
    change_over(
        (hold_at, begin, release_at, period),
        patience=patience,
        hold=lambda: link.tell(*holds),
        change=lambda: link.tell(*changes),
        release=lambda: link.tell(*releases),
        is_pending=lambda: any(has_pending(one, index) for one in link.ask(*dumps)),
        now=lambda: time.clock_gettime_ns(time.CLOCK_TAI),
        sleep=time.sleep,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
