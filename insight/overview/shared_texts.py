"""One text for all readers with equal rights, plain and compressed, as a body and as an event.

Compressed events are blocks that stand for themselves (a full flush ends each), so every stream
that has begun with ``GZIP_HEAD`` may be sent the same bytes.
"""

import json
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from insight.access.rights import Rights
from insight.overview.cut import cut
from insight.overview.row_texts import RowTexts
from k40s.overview.model import Overview

GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
"""Of a member that never ends (RFC 1952, section 2.3)."""
_FAST = 1
_RAW, _GZIP = -15, 31
_AFTER_TIME = ',"nodes":'
"""The time is an overview's first member."""
_BEGIN = b'{"at":'
_EVENT, _END = b"event: overview\ndata: ", b"\n\n"


def compress_part(text: bytes) -> bytes:
    """Blocks of a gzip member that refer to nothing before them (RFC 1951)."""
    packer = zlib.compressobj(level=_FAST, wbits=_RAW)
    return packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)


def compress_whole(text: bytes) -> bytes:
    """A gzip file."""
    packer = zlib.compressobj(level=_FAST, wbits=_GZIP)
    return packer.compress(text) + packer.flush()


@dataclass(frozen=True)
class SharedText:
    """One overview's text for readers with equal rights, but for its time.

    ``facts`` is what stands behind the time. Texts with the same facts are one object: there is
    nothing in the second that is worth sending.
    """

    facts: bytes

    def body(self, at: str) -> bytes:
        """The whole of it, as of that time."""
        return _BEGIN + json.dumps(at).encode() + self.facts

    def event(self, at: str) -> bytes:
        """As a server-sent event."""
        return _EVENT + self.body(at) + _END

    def packed_event(self, at: str) -> bytes:
        """The event for a stream that began with ``GZIP_HEAD``."""
        begin = _EVENT + _BEGIN + json.dumps(at).encode()
        return compress_part(begin) + self._packed_facts

    @cached_property
    def _packed_facts(self) -> bytes:
        return compress_part(self.facts + _END)


class SharedTexts:
    """The texts of one overview by rights; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = RowTexts()
        self._number = 0
        self._texts: dict[Rights, SharedText] = {}
        self._former: dict[Rights, SharedText] = {}

    def get(self, number: int, overview: Overview, rights: Rights) -> SharedText:
        """The text of the overview with this number, for these rights."""
        return self.prepare(number, overview, [rights])[rights]

    def prepare(
        self, number: int, overview: Overview, every: Iterable[Rights]
    ) -> dict[Rights, SharedText]:
        """The texts for all of these rights; the same ones as before where nothing differs there.

        So a reader is not told, not even by an event, that something has changed elsewhere.
        """
        with self._lock:
            if number != self._number:
                self._number, self._texts, self._former = number, {}, self._texts
                self._rows.begin()
            wanted = dict.fromkeys(every)
            for rights in wanted:
                if rights not in self._texts:
                    self._texts[rights] = self._make(cut(overview, rights), rights)
            return {one: self._texts[one] for one in wanted}

    def _make(self, seen: Overview, rights: Rights) -> SharedText:
        text = self._rows.format(seen)
        facts = text[text.index(_AFTER_TIME) :].encode(errors="replace")
        former = self._former.get(rights)
        if former is not None and former.facts == facts:
            return former
        return SharedText(facts)
