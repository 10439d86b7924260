"""A station of RTnet in a directory: its kernel's semantics and hazards, /proc and /sys as files.

Only the standard library: the fake ``tdmacfg`` runs this file by itself.
"""

import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

US = 1_000
MTU = 1500
_LOCKED = ("rtmac/tdma", "rtmac/tdma_slots", "rtmac/vnics")
_MODES = {"master": "Master", "backup": "Backup Master", "slave": "Slave"}


class BlockedError(Exception):
    """The call waits for a Sync, and holds the lock of the device."""


class FakeRtnet:
    """One interface, ``rteth0``, on a network whose cycle is ``cycle`` ns.

    ``state["harm"]`` lists what would have broken the machine or the network.
    """

    def __init__(self, root: Path, *, cycle: int = 0) -> None:
        self.root = root
        self.proc = root / "proc"
        self.sys = root / "sys"
        self._file = root / "state.json"
        if not self._file.exists():
            self._save(
                {
                    "cycle": cycle,
                    "role": "",
                    "own_cycle": 0,
                    "max": 0,
                    "backup": 0,
                    "slots": {},
                    "jobs": [],
                    "calibrated": False,
                    "sync": True,
                    "received": 1000,
                    "vnic_mtu": MTU - 4,
                    "vnic_max": MTU - 4,
                    "harm": [],
                    "fail_next": [],
                }
            )

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads(self._file.read_text(encoding="utf-8")))

    def change(self, **values: object) -> None:
        self._save({**self.state, **values})

    def pass_time(self, seconds: float) -> None:
        """Syncs of another master are received, one a cycle."""
        state = self.state
        if state["sync"]:
            state["received"] += round(seconds * 1e9) // state["cycle"]
        self._save(state)

    # the ioctls: 0 or an errno

    def attach(self, role: str, *, cycle: int = 0, last: int = 7, backup: int = 0) -> int:
        state = self.state
        if state["role"]:
            return errno.EBUSY
        if role == "master" and state["sync"]:
            state["harm"].append("second master")
        state.update(
            role=role,
            own_cycle=cycle,
            max=last,
            backup=backup,
            calibrated=role != "slave",
        )
        self._save(state)
        return 0

    def set_slot(  # noqa: C901  # what the kernel does, in one place
        self, number: int, *, offset: int, phasing: int, period: int, size: int, joint: int = -1
    ) -> int:
        """``phasing`` counts from 0, as in the ioctl."""
        state = self.state
        slots = state["slots"]
        size = size or MTU
        if not state["role"]:
            return errno.ENOTTY
        if state["fail_next"]:
            failure = state["fail_next"].pop(0)
            self._save(state)
            if failure:
                return int(failure)
        if not 0 <= number <= state["max"] or size > MTU:
            return errno.EINVAL
        if joint >= 0 and (
            joint >= state["max"] or str(joint) not in slots or slots[str(joint)]["size"] != size
        ):
            return errno.EINVAL
        if not state["calibrated"] and not state["sync"]:
            raise BlockedError
        state["calibrated"] = True
        if period == 0:
            state["harm"].append("the node freezes: cycle % 0")
        elif phasing >= period:
            state["harm"].append("the slot never sends")
        if state["cycle"] and offset >= state["cycle"]:
            state["harm"].append("the slot delays Sync")
        if str(number) not in slots:
            later = (n for n, job in enumerate(state["jobs"]) if slots[str(job)]["offset"] > offset)
            state["jobs"].insert(next(later, len(state["jobs"])), number)
        slots[str(number)] = {
            "offset": offset,
            "phasing": phasing,
            "period": period,
            "size": size,
            "joint": joint,
        }
        _shrink(state, size - 4)
        self._save(state)
        return 0

    def remove_slot(self, number: int) -> int:
        state = self.state
        if not state["role"]:
            return errno.ENOTTY
        if str(number) not in state["slots"]:
            return errno.EINVAL
        if any(slot["joint"] == number for slot in state["slots"].values()):
            state["harm"].append("the queue of joined slots is freed")
        if number == 0:
            state["harm"].append("no default channel is left")
        del state["slots"][str(number)]
        state["jobs"].remove(number)
        self._save(state)
        return 0

    # what an observer of the wire sees

    def sent_at(self) -> dict[int, int]:
        """Slot → when it sends in its cycle: jobs are done in the order of the list."""
        state, now, found = self.state, 0, {}
        for job in state["jobs"]:
            now = max(now, state["slots"][str(job)]["offset"])
            found[job] = now
        return found

    # the lock that a blocked call holds

    def lock(self) -> None:
        """Reads of the device's files block."""
        for name in _LOCKED:
            path = self.proc / "rtnet" / name
            path.unlink()
            os.mkfifo(path)

    def unlock(self) -> None:
        for name in _LOCKED:
            (self.proc / "rtnet" / name).unlink()
        self._save(self.state)

    def _save(self, state: dict[str, Any]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(state), encoding="utf-8")
        for name, text in _proc(state).items():
            path = self.proc / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        vnic = self.sys / "class/net/vnic1"
        vnic.mkdir(parents=True, exist_ok=True)
        (vnic / "mtu").write_text(f"{state['vnic_mtu']}\n", encoding="utf-8")


def _shrink(state: dict[str, Any], new: int) -> None:
    """``rtmac_vnic_set_max_mtu``: a larger one is taken over when it comes for the second time."""
    former = state["vnic_max"]
    state["vnic_max"] = new
    if state["vnic_mtu"] > new or former == new:
        state["vnic_mtu"] = new


def _proc(state: dict[str, Any]) -> dict[str, str]:
    texts = {
        "xenomai/version": "3.3.1\n",
        "rtnet/version": "RTnet for Xenomai v3.3.1\n",
        "rtnet/devices": "Index\tName\t\tFlags\n"
        "1\trtlo            UP LOOPBACK\n2\trteth0          UP BROADCAST\n",
        "rtnet/stats": _stats(state["received"]),
        "rtnet/rtmac/disciplines": "Name\t\tID\nTDMA            0001\n",
        "rtnet/rtmac/vnics": "RT-NIC name\tVNIC name\n",
        "rtnet/rtmac/tdma": "Interface       API Device      Operation Mode  Cycle   State\n",
        "rtnet/rtmac/tdma_slots": "Interface       "
        "Slots (id[->joint]:offset:phasing/period:size)\n",
    }
    if state["role"]:
        texts["rtnet/rtmac/vnics"] += f"{'rteth0':<15} vnic1\n"
        texts["rtnet/rtmac/tdma"] += _discipline(state)
        texts["rtnet/rtmac/tdma_slots"] += _slots(state)
    return texts


def _discipline(state: dict[str, Any]) -> str:
    cycle = "-" if state["role"] == "slave" else str(state["own_cycle"] // US)
    shown = "active" if state["calibrated"] else "init"
    if state["role"] == "backup" and state["sync"]:
        shown = "stand-by"
    return f"{'rteth0':<15} {'TDMA0':<15} {_MODES[state['role']]:<15} {cycle:<7} {shown}\n"


def _slots(state: dict[str, Any]) -> str:
    line = f"{'rteth0':<15} "
    if state["role"] == "backup":
        line += f"bak:{state['backup'] // US}  "
    for number, slot in sorted(state["slots"].items(), key=lambda item: int(item[0])):
        joined = f"->{slot['joint']}" if slot["joint"] >= 0 else ""
        line += (
            f"{number}{joined}:{(slot['offset'] + 500) // US}"
            f":{slot['phasing'] + 1}/{slot['period']}:{slot['size']}  "
        )
    return line + "\n"


def _stats(received: int) -> str:
    rest = "    0    0    0     0          0         0"
    return (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets "
        "errs drop fifo colls carrier compressed\n"
        f"  rtlo:       0       0{rest}        0       0    0    0    0     0       0          0\n"
        f"rteth0: {received * 60:>7} {received:>7}{rest}     4860      81"
        "    0    0    0     0       0          0\n"
    )


# the command


def tdmacfg(root: Path, words: list[str]) -> int:
    """``tdmacfg`` of Xenomai 3.3: its checks, its texts, its status."""
    rtnet = FakeRtnet(root)
    device, verb, *rest = words
    if device != "rteth0":
        return _said(errno.ENODEV)
    if verb == "slot":
        return _slot(rtnet, rest)
    options = dict(
        zip(
            rest[1 if verb == "master" else 0 :: 2],
            rest[2 if verb == "master" else 1 :: 2],
            strict=True,
        )
    )
    last = int(options.get("-i", 7))
    if verb == "slave":
        return _said(rtnet.attach("slave", last=last))
    cycle, backup = int(rest[0]) * US, int(options.get("-b", 0)) * US
    if cycle <= 0:
        return _invalid("cycle_period")
    return _said(
        rtnet.attach("backup" if backup else "master", cycle=cycle, last=last, backup=backup)
    )


def _slot(rtnet: FakeRtnet, words: list[str]) -> int:
    number, *rest = words
    if not rest:
        return _said(rtnet.remove_slot(int(number)))
    offset, *pairs = rest
    options = dict(zip(pairs[::2], pairs[1::2], strict=True))
    phasing, period = map(int, options.get("-p", "1/1").split("/"))
    if not 1 <= phasing <= period:
        return _invalid("phasing")
    size = int(options.get("-s", 0))
    if size and size < 60:
        return _invalid("size")
    try:
        return _said(
            rtnet.set_slot(
                int(number),
                offset=int(offset) * US,
                phasing=phasing - 1,
                period=period,
                size=size,
                joint=int(options.get("-j", -1)),
            )
        )
    except BlockedError:
        return _block(rtnet)


def _block(rtnet: FakeRtnet) -> int:
    """For ever, until a signal; the state stays clean."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    rtnet.lock()
    signal.sigwait({signal.SIGTERM})
    rtnet.unlock()
    return 128 + signal.SIGTERM


def _said(number: int) -> int:
    if number:
        os.write(2, f"ioctl: {os.strerror(number)}\n".encode())
    return 1 if number else 0


def _invalid(what: str) -> int:
    os.write(2, f"invalid parameter: {what}\n".encode())
    return 1
