import json
import tomllib
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import yaml

from localcluster.bringup import reserved
from localcluster.components import (
    apiserver,
    cni,
    containerd,
    controller_manager,
    etcd,
    kube_proxy,
    kubelet,
    scheduler,
)
from localcluster.credentials.certificates import KeyPair
from localcluster.host.sandbox import anchor_script
from localcluster.nodes.layout import MOUNTS, NodeNames, NodeResources, format_cpus

PAIR = KeyPair(certificate=Path("/pki/x.crt"), key=Path("/pki/x.key"))
BINARY = Path("/bin/program")


def flags(argv: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").partition("=")[::2] for word in argv[1:])


def apiserver_flags(address: str) -> dict[str, str]:
    files = apiserver.ApiServerFiles(
        authority=Path("/pki/ca.crt"),
        server=PAIR,
        kubelet_client=PAIR,
        etcd_authority=Path("/pki/etcd-ca.crt"),
        etcd_server=PAIR,
        etcd_client=PAIR,
        service_accounts=PAIR,
    )
    return flags(
        apiserver.command(
            BINARY,
            files=files,
            address=IPv4Address(address),
            port=6443,
            etcd_port=2379,
            services=IPv4Network("10.96.0.0/16"),
        )
    )


def test_etcd_listens_on_loopback_and_asks_for_certificates() -> None:
    argv = etcd.command(
        BINARY,
        data=Path("/data"),
        authority=Path("/pki/etcd-ca.crt"),
        identity=PAIR,
        client_port=2379,
        peer_port=2380,
    )

    assert flags(argv)["listen-client-urls"] == "https://127.0.0.1:2379"
    assert flags(argv)["listen-peer-urls"] == "http://127.0.0.1:2380"
    assert "--client-cert-auth" in argv


def test_the_api_server_listens_on_its_address_only_and_authorizes() -> None:
    given = apiserver_flags("10.77.0.10")

    assert given["bind-address"] == given["advertise-address"] == "10.77.0.10"
    assert given["authorization-mode"] == "Node,RBAC"
    assert "endpoint-reconciler-type" not in given


def test_the_api_server_does_not_advertise_loopback() -> None:
    assert apiserver_flags("127.0.0.1")["endpoint-reconciler-type"] == "none"


def test_controllers_have_rights_of_their_own() -> None:
    argv = controller_manager.command(
        BINARY,
        kubeconfig=Path("/kubeconfig"),
        authority=Path("/pki/ca.crt"),
        service_accounts=PAIR,
        services=IPv4Network("10.96.0.0/16"),
        port=10257,
    )

    assert flags(argv)["use-service-account-credentials"] == "true"
    assert flags(argv)["bind-address"] == "127.0.0.1"


def test_a_schedulers_configuration_is_the_callers_with_the_kubeconfig_filled_in() -> None:
    wanted = {"clientConnection": {"qps": 5000}, "percentageOfNodesToScore": 100}

    text = scheduler.configuration(wanted, kubeconfig=Path("/kubeconfig"))

    document = yaml.safe_load(text)
    assert document["clientConnection"] == {"qps": 5000, "kubeconfig": "/kubeconfig"}
    assert document["percentageOfNodesToScore"] == 100
    assert document["leaderElection"] == {"leaderElect": False}
    argv = scheduler.command(BINARY, config=Path("/c"), kubeconfig=Path("/k"), port=1, v=4)
    assert flags(argv)["v"] == "4"


def test_containerd_starts_sandboxes_without_cap_sys_resource() -> None:
    text = containerd.configuration(pause_image="localhost/pause:x", cni_plugins=Path("/cni"))

    assert "restrict_oom_score_adj = true" in text
    assert 'sandbox_image = "localhost/pause:x"' in text
    assert containerd.command("containerd", config=Path("/c"))[:2] == ["containerd", "--config=/c"]
    assert containerd.import_command(Path("/x.tar"))[-1] == "/x.tar"


def test_containerd_has_the_second_runtime_handler_where_it_is_asked_for() -> None:
    pause, plugins = "localhost/pause:x", Path("/cni")
    plain, isolated = (
        tomllib.loads(
            containerd.configuration(pause_image=pause, cni_plugins=plugins, isolated=isolated)
        )["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
        for isolated in (False, True)
    )

    assert list(plain) == ["runc"]
    assert isolated["runc"] == plain["runc"]
    assert isolated["k40s-isolated"]["options"]["Root"] == "/run/containerd/runc-isolated"


def test_a_nodes_pods_get_addresses_of_its_own_range_and_a_way_out_of_the_pod() -> None:
    text = cni.configuration(network="net", pods=IPv4Network("10.88.1.0/24"))

    bridge = json.loads(text)["plugins"][0]
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.88.1.0/24"}]]
    assert "ipMasq" not in bridge


def test_kubelet_accepts_cgroup_v1_and_leaves_cpusets_alone() -> None:
    text = kubelet.configuration(
        cgroup="k40s-demo-edge-1",
        address=IPv4Address("10.77.0.11"),
        authority=Path("/pki/ca.crt"),
        server=PAIR,
        reserved={"memory": "1Mi"},
        resolv_conf=Path("/etc/kubernetes/resolv.conf"),
    )

    document = yaml.safe_load(text)
    assert document["failCgroupV1"] is False
    assert document["cgroupRoot"] == "/k40s-demo-edge-1"
    assert document["cpuManagerPolicy"] == "none"
    assert document["authentication"]["anonymous"] == {"enabled": False}
    assert document["address"] == "10.77.0.11"


def test_kubelet_registers_its_labels() -> None:
    argv = kubelet.command(
        BINARY,
        config=Path("/c"),
        kubeconfig=Path("/k"),
        node="edge-1",
        address=IPv4Address("10.77.0.11"),
        labels={"a": "1", "b": "2"},
    )

    assert flags(argv)["node-labels"] == "a=1,b=2"


def test_kube_proxy_leaves_the_machines_connection_tracking_alone() -> None:
    text = kube_proxy.configuration(
        kubeconfig=Path("/k"), node="edge-1", pods=IPv4Network("10.88.0.0/20")
    )

    document = yaml.safe_load(text)
    assert document["mode"] == "nftables"
    assert document["conntrack"]["maxPerCore"] == 0
    assert kube_proxy.command(BINARY, config=Path("/c"))[1] == "--config=/c"


def test_an_anchor_mounts_and_then_sleeps() -> None:
    script = anchor_script({Path("/etc/cni"): Path("/state/with blank")})

    assert script.splitlines() == [
        "mount --make-rshared /",
        "mount --bind '/state/with blank' /etc/cni",
        "exec sleep infinity",
    ]


def test_the_mount_that_hides_the_state_comes_last() -> None:
    assert list(MOUNTS)[-1] == Path("/var/lib/k40s")


def test_a_nodes_names_carry_its_cluster() -> None:
    names = NodeNames(cluster="demo", node="edge-1")

    assert names.cgroup == "k40s-demo-edge-1"
    assert names.budget_groups == "k40s-rt-demo-edge-1"
    assert names.component("kubelet") == "edge-1.kubelet"


def test_nodes_share_the_machines_memory_and_leave_a_part_to_it() -> None:
    assert reserved(memory=9 << 20, nodes=2) == {"memory": "6Mi"}


def test_cpus_are_written_as_the_kernel_reads_them() -> None:
    resources = NodeResources(cpus=(0, 2), reserved={}, rt_capacity=Fraction(1, 2))

    assert format_cpus(resources.cpus) == "0,2"
