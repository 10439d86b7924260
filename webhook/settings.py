"""The webhook's settings, from ``K40S_*`` variables (docs/admission.md)."""

from dataclasses import dataclass
from pathlib import Path

from k40s.criticality import Criticality
from k40s.http.listening import EVERY_ADDRESS, Host
from k40s.runtime.settings import DEFAULT_LEVEL, LogLevel, Port
from k40s.runtime_classes import parse_runtime_classes
from webhook.defaults import Defaults, parse_tolerations

_MOST_THREADS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Defaults are for pods whose own fields say nothing."""

    default_scheduler: bool = True
    """Give pods with k40s' demands to k40s-scheduler, where they name no scheduler."""
    default_priority: bool = True
    """Give LOW and HI pods the PriorityClass of their criticality."""
    high_priority_class: str = "k40s-hi"
    """PriorityClass of HI pods. The manifests set it to the object's name."""
    low_priority_class: str = "k40s-low"
    """PriorityClass of LOW pods. The manifests set it to the object's name."""
    runtime_classes: tuple[str, ...] = ()
    """RuntimeClass by criticality, such as `HI=kata,LOW=runc`; none is a pod's own choice."""
    default_tolerations: tuple[str, ...] = ()
    """Tolerations by criticality, such as `HI=dedicated=real-time:NoSchedule`."""
    validating_configuration: str = "k40s-validation"
    """ValidatingWebhookConfiguration for our CA. The manifests set it to the object's name."""
    mutating_configuration: str = "k40s-defaults"
    """MutatingWebhookConfiguration for our CA. The manifests set it to the object's name."""
    host: Host = EVERY_ADDRESS
    """Where API and probes listen: `::` is every address, of IPv4 and of IPv6."""
    port: Port = Port(8443)
    """Port of the API (TLS; the API server has no client certificate)."""
    probe_port: Port = Port(8444)
    """Port of /healthz, /readyz and /metrics (plain HTTP)."""
    threads: int = 8
    """Reviews answered at once."""
    tls_directory: Path = Path("/etc/k40s/tls")
    """tls.crt, tls.key and ca.crt of the API."""
    kubeconfig: str = ""
    """Path of a kubeconfig; empty means the pod's service account."""
    log_level: LogLevel = DEFAULT_LEVEL
    """DEBUG, INFO, WARNING or ERROR."""

    def __post_init__(self) -> None:
        _ = self.defaults
        if not 1 <= self.threads <= _MOST_THREADS:
            raise ValueError(
                f"K40S_THREADS: found {self.threads}, expected 1 to {_MOST_THREADS} threads"
            )

    @property
    def defaults(self) -> Defaults:
        """What is filled in. Raises ``ValueError``."""
        classes = {
            Criticality.HI: self.high_priority_class,
            Criticality.LOW: self.low_priority_class,
        }
        return Defaults(
            scheduler=self.default_scheduler,
            priority_classes=classes if self.default_priority else {},
            runtime_classes=parse_runtime_classes(self.runtime_classes),
            tolerations=parse_tolerations(self.default_tolerations),
        )
