"""Maps failures of a request to reasons."""

from k40s.errors import UnavailableError
from k40s.reasons import Reason


class StartingError(UnavailableError):
    """The Networks or the node's pods are not known yet."""


FAILED = Reason.NETWORK_STATION_FAILED
"""Of every failure: the text of the answer tells them apart."""
