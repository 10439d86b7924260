"""Asking the API server again where one of its webhooks did not answer in time."""

from collections.abc import Callable

from localcluster.errors import CommandError

_WEBHOOK, _LATE = "failed calling webhook", "context deadline exceeded"
_PAUSES_SECONDS = (2.0, 5.0, 10.0)


def ask_again(ask: Callable[[], str], *, sleep: Callable[[float], object]) -> str:
    """What ``ask`` returns, at the fourth time at the latest. Raises its ``CommandError``."""
    for seconds in _PAUSES_SECONDS:
        try:
            return ask()
        except CommandError as error:
            if _WEBHOOK not in str(error) or _LATE not in str(error):
                raise
        sleep(seconds)
    return ask()
