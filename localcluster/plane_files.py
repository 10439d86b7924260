"""The certificates of a control plane's own parts."""

from ipaddress import IPv4Address
from pathlib import Path

from localcluster.addresses import API_SERVICE
from localcluster.certificates import Authority, issue_signing_key
from localcluster.components.apiserver import ApiServerFiles

ADMINISTRATORS = "system:masters"
"""The group that may do everything."""

_LOCAL = IPv4Address("127.0.0.1")
_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


def issue_plane_files(pki: Path, *, address: IPv4Address, authority: Authority) -> ApiServerFiles:
    """Make what is missing. etcd trusts an authority of its own: only the API server may enter."""
    store = Authority(pki, "etcd-ca")
    hosts: list[str | IPv4Address] = [*_NAMES, *sorted({address, API_SERVICE, _LOCAL})]
    return ApiServerFiles(
        authority=authority.pair.certificate,
        server=authority.issue("apiserver", name="kube-apiserver", hosts=hosts),
        kubelet_client=authority.issue(
            "apiserver-kubelet",
            name="kube-apiserver-kubelet-client",
            organizations=[ADMINISTRATORS],
        ),
        etcd_authority=store.pair.certificate,
        etcd_server=store.issue("etcd", name="etcd", hosts=[_LOCAL, "localhost"]),
        etcd_client=store.issue("apiserver-etcd", name="kube-apiserver"),
        service_accounts=issue_signing_key(pki, "service-accounts"),
    )
