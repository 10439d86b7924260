"""Errors of a local cluster."""

from k40s.errors import K40sError


class LocalClusterError(K40sError):
    """A local cluster cannot be brought up, used or taken down; the text says what to do."""


class ComponentFailedError(LocalClusterError):
    """A component ended or never became ready; the end of its log is in the text."""

    def __init__(self, *, component: str, problem: str, log: str, tail: str) -> None:
        self.component = component
        super().__init__(f"{component} {problem}; the end of {log}:\n{tail or '(it is empty)'}")


class CommandError(LocalClusterError):
    """A command that the local cluster drives returned an error or did not return in time."""
