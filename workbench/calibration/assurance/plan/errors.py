"""What ends an experiment early."""

from k40s.errors import K40sError


class CalibrationError(K40sError):
    """The experiment cannot be done here, or a program of it failed: the text says which."""


class StoppedError(K40sError):
    """The user stopped the experiment; finished phases are kept."""
