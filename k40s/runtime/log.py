"""One JSON object per line: constant message, and the facts as fields (``extra=``)."""

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_OWN = frozenset({"time", "level", "logger", "message", "error"})


def configure(level: str, stream: TextIO) -> None:
    """Send all loggers to ``stream``. ``level`` is a name such as "INFO"; ValueError if unknown."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("urllib3").setLevel(logging.ERROR)


class JsonFormatter(logging.Formatter):
    """Fields time, level, logger, message, then those of ``extra``, then the traceback as error.

    A field of ``extra`` with one of these names gets an underscore.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write one line; values that JSON does not know are written as text."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD:
                fields[f"{key}_" if key in _OWN else key] = value
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)
