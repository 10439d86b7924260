"""AdmissionReviews as an API server sends them."""

import json
from typing import Any

from k40s.kube.objects.pod_templates import POD_OWNERS
from webhook.admission_review import Review, parse_review

Object = dict[str, Any]


def make_pod(
    annotations: object = None, labels: object = None, containers: tuple[str, ...] = ("main",)
) -> Object:
    return {
        "metadata": {"name": "new", "annotations": annotations, "labels": labels},
        "spec": {
            "schedulerName": "default-scheduler",
            "priority": 0,
            "preemptionPolicy": "PreemptLowerPriority",
            "containers": [{"name": name} for name in containers],
        },
    }


def wrap(kind: str, pod: Object) -> Object:
    """The object of this kind that makes such pods."""
    if kind == "Pod":
        return pod
    item: Object = {"metadata": {"name": "new"}, "spec": {"template": pod}}
    return {"spec": {"jobTemplate": item}} if kind == "CronJob" else item


def make_body(
    kind: str, item: object, /, *, former: object = None, operation: str = "", **request: object
) -> bytes:
    version = POD_OWNERS.get(kind, ("v1", ""))[0]
    group = version.rpartition("/")[0]
    asked = {
        "uid": "u-1",
        "kind": {"group": group, "version": "v1", "kind": kind},
        "operation": operation or ("CREATE" if former is None else "UPDATE"),
        "object": item,
        "oldObject": former,
        **request,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
    return json.dumps(review).encode()


def make_review(kind: str, item: object, *, former: object = None) -> Review:
    return parse_review(make_body(kind, item, former=former))
