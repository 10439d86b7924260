"""The pod that preempts: read again, as a value, and as the object of events."""

from controller.cluster.watched_pods import WatchedPod, watch_pod
from controller.preemption.ports import Control
from controller.preemption_rules.candidates import Preemptor
from k40s.annotations.wall_times import wall_nanoseconds
from k40s.errors import UnreadableError
from k40s.kube.objects.fields import NamelessError
from k40s.kube.objects.managed_pods import managed_pod_record
from k40s.kube.records import ObjectRef
from k40s.kube.transport import NotFoundError


def read_live(control: Control, namespace: str, name: str) -> WatchedPod | None:
    """The pod at the API server, None when there is none. Raises ``UnavailableError``."""
    try:
        return watch_pod(managed_pod_record(control.pod(namespace, name)))
    except NotFoundError:
        return None
    except NamelessError as error:
        raise UnreadableError(str(error)) from error


def as_preemptor(one: WatchedPod) -> Preemptor | None:
    """The pod as one that preempts; None for one that cannot."""
    pod, created = one.record.pod, one.record.created
    if not one.criticality or created is None or not one.record.preempts:
        return None
    return Preemptor(
        uid=pod.uid,
        namespace=pod.namespace,
        name=pod.name,
        criticality=one.criticality,
        created=wall_nanoseconds(created),
    )


def reference(pod: Preemptor) -> ObjectRef:
    """The pod, for events."""
    return ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)
