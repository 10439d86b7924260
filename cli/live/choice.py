"""Which cluster a command speaks to: kubectl's options, and the connection by the caller's rights.

The options may stand before the command (``k40s --context edge top nodes``) or after it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from k40s.kube.gateway import KubeGateway
    from k40s.units import Nanoseconds

T = TypeVar("T")
SYSTEM = "k40s-system"
_DEFAULT_NAMESPACE = "default"
_OPTIONS = (
    click.option("--kubeconfig", default="", help="Path of the kubeconfig file."),
    click.option("--context", default="", help="Context of the kubeconfig file to use."),
    click.option("-n", "--namespace", default="", help="Namespace; default is the context's."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterChoice:
    """What the caller has said of the cluster; "" leaves it to the kubeconfig file."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""

    def over(self, other: "ClusterChoice") -> "ClusterChoice":
        """This choice, completed by what another one says."""
        return ClusterChoice(
            kubeconfig=self.kubeconfig or other.kubeconfig,
            context=self.context or other.context,
            namespace=self.namespace or other.namespace,
        )


def cluster_choice(command: Callable[..., T]) -> Callable[..., T]:
    """Adds the options; the command gets what they say as the argument ``choice``."""

    @wraps(command)
    def call(*args: object, kubeconfig: str, context: str, namespace: str, **kwargs: object) -> T:
        said = ClusterChoice(kubeconfig=kubeconfig, context=context, namespace=namespace)
        before = click.get_current_context().find_object(ClusterChoice)
        return command(*args, choice=said if before is None else said.over(before), **kwargs)

    wrapped: Callable[..., T] = call
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def connect_cluster(
    choice: ClusterChoice, *, timeout: "Nanoseconds | None" = None
) -> tuple["KubeGateway", str]:
    """The API server, and the namespace that counts. Raises ``UnavailableError``."""
    # The client library is slow to import, and help needs none.
    from k40s.kube.connect import DEFAULT_TIMEOUT, connect  # noqa: PLC0415
    from k40s.kube.kubeconfig import kubeconfig_files, read_kubeconfig  # noqa: PLC0415

    setting = choice.kubeconfig or os.environ.get("KUBECONFIG", "") or "~/.kube/config"
    if not choice.kubeconfig and not kubeconfig_files(setting):
        gateway = connect(environment=os.environ, timeout=timeout or DEFAULT_TIMEOUT)
        return gateway, choice.namespace or _own_namespace()
    config = read_kubeconfig(setting, context=choice.context)
    gateway = connect(
        kubeconfig=setting, context=choice.context, timeout=timeout or DEFAULT_TIMEOUT
    )
    return gateway, choice.namespace or config.namespace or _DEFAULT_NAMESPACE


def _own_namespace() -> str:
    """That of the pod that this runs in."""
    from k40s.kube.connect import MOUNT  # noqa: PLC0415

    path = MOUNT / "namespace"
    return path.read_text(encoding="ascii").strip() if path.is_file() else _DEFAULT_NAMESPACE


def remember(ctx: click.Context, choice: ClusterChoice) -> None:
    """Keep what was said before a command for the command."""
    ctx.obj = choice


def complete_nodes(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The names of nodes that begin so; none where the cluster does not tell them at once."""
    from k40s.errors import K40sError  # noqa: PLC0415  # completion alone needs these
    from k40s.units import NS_PER_S, Nanoseconds  # noqa: PLC0415

    said = {key: ctx.params.get(key) or "" for key in ("kubeconfig", "context")}
    before = ctx.find_object(ClusterChoice) or ClusterChoice()
    choice = ClusterChoice(**said).over(before)
    try:
        gateway, _ = connect_cluster(choice, timeout=Nanoseconds(2 * NS_PER_S))
        names = [one.name for one in gateway.nodes().list().records]
    except K40sError:
        return []
    return sorted(name for name in names if name.startswith(incomplete))
