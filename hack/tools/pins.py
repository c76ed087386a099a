"""Which tools at which versions: where they are published, how they are built, how an installed one tells its version.

A version is changed here and in the go.mod of its folder (tests/unit/hack compares the two). Downloads are the projects' own release
sites; checksums are the ones published beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

KUBERNETES = "v1.34.4"
ETCD = "v3.6.5"
KIND = "v0.30.0"
KWOK = "v0.8.0"
CLUSTER_API = "v1.14.0"

KUBERNETES_STAMP = " ".join(
    [
        f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}",
        "-X k8s.io/component-base/version.gitMajor=1",
        f"-X k8s.io/component-base/version.gitMinor={KUBERNETES.split('.')[1]}",
        "-X k8s.io/component-base/version.gitTreeState=clean",
        f"-X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
    ]
)
"""Kubernetes takes its version from the linker; without it the API server calls itself v0.0.0 and refuses to start."""

CLUSTER_API_STAMP = " ".join(
    f"-X sigs.k8s.io/cluster-api/version.git{name}={value}"
    for name, value in (
        ("Version", CLUSTER_API),
        *zip(("Major", "Minor"), CLUSTER_API.lstrip("v").split(".")[:2], strict=True),
        ("TreeState", "clean"),
    )
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One executable. URLs may hold {version}, {os} and {arch}."""

    name: str
    version: str
    family: str
    """Folder beside this file with the Go module that pins it."""
    package: str
    url: str
    """Empty: there is no official download of it."""
    checksum_url: str
    """A file of lines "SHA256 [*]FILE", a single SHA256, or a GitHub release as JSON, whose assets carry digests."""
    probe: tuple[str, ...]
    """Arguments that make it print its version; none: it cannot, so only what was built here is used."""
    pattern: str
    """Finds major and minor version in what the probe prints."""
    minutes: float
    """How long the family usually takes to build on two cores with an empty build cache."""
    link_flags: str = ""
    member: str = ""
    """Path inside the archive, where the download is one."""
    older: int = 0
    """How many minor versions an installed one may be behind the pinned version."""
    newer: int = 0
    sets: tuple[str, ...] = ("basic",)
    """Who needs it: `basic` is everybody's, `capi` what only tests with Cluster API itself use."""

    @property
    def executable(self) -> str:
        """What `go build` calls it."""
        return self.package.rsplit("/", 1)[1]


def _kubernetes(
    name: str, *, probe: tuple[str, ...] = ("--version",), pattern: str = r"Kubernetes v(\d+)\.(\d+)\.", skew: int = 0
) -> Tool:
    url = "https://dl.k8s.io/{version}/bin/{os}/{arch}/" + name
    return Tool(
        name, KUBERNETES, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", url, url + ".sha256", probe, pattern, minutes=7,
        link_flags=KUBERNETES_STAMP, older=skew, newer=skew,
    )  # fmt: skip


_ETCD_RELEASE = "https://github.com/etcd-io/etcd/releases/download/{version}/"
_KIND_RELEASE = "https://github.com/kubernetes-sigs/kind/releases/download/{version}/kind-{os}-{arch}"
_KWOK = "kubernetes-sigs/kwok/releases"
_CLUSTER_API = "kubernetes-sigs/cluster-api/releases"


def _cluster_api(name: str, package: str, asset: str, probe: tuple[str, ...]) -> Tool:
    url = f"https://github.com/{_CLUSTER_API}/download/{{version}}/{asset}" if asset else ""
    checksums = f"https://api.github.com/repos/{_CLUSTER_API}/tags/{{version}}" if asset else ""
    return Tool(
        name, CLUSTER_API, "capi", f"sigs.k8s.io/cluster-api/{package}", url, checksums, probe, r"v(\d+)\.(\d+)\.", minutes=4,
        link_flags=CLUSTER_API_STAMP, sets=("capi",),
    )  # fmt: skip


CORE_COMPONENTS, CORE_METADATA = (_cluster_api(name, "", name, ()) for name in ("core-components.yaml", "metadata.yaml"))
"""Not executables: what `clusterctl init` installs of Cluster API itself (hack/tools/components.py)."""


_ALL = (
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    # One minor version of skew is what Kubernetes supports between kubectl and the API server.
    _kubernetes("kubectl", probe=("version", "--client", "-o", "json"), pattern=r'"gitVersion": *"v(\d+)\.(\d+)\.', skew=1),
    Tool(
        "etcd", ETCD, "etcd", "go.etcd.io/etcd/server/v3",
        _ETCD_RELEASE + "etcd-{version}-{os}-{arch}.tar.gz", _ETCD_RELEASE + "SHA256SUMS",
        ("--version",), r"etcd Version: (\d+)\.(\d+)\.", minutes=0.5, member="etcd-{version}-{os}-{arch}/etcd",
    ),
    Tool(
        "kind", KIND, "kind", "sigs.k8s.io/kind", _KIND_RELEASE, _KIND_RELEASE + ".sha256sum",
        ("--version",), r"kind version (\d+)\.(\d+)\.", minutes=0.5, newer=3,
    ),
    Tool(
        "kwok", KWOK, "kwok", "sigs.k8s.io/kwok/cmd/kwok",
        f"https://github.com/{_KWOK}/download/{{version}}/kwok-{{os}}-{{arch}}", f"https://api.github.com/repos/{_KWOK}/tags/{{version}}",
        ("--version",), r"kwok version v?(\d+)\.(\d+)\.", minutes=2, link_flags=f"-X sigs.k8s.io/kwok/pkg/consts.Version={KWOK}",
    ),
    _cluster_api("cluster-api-manager", "core", "", ()),  # published inside a container image only
    _cluster_api("clusterctl", "cmd/clusterctl", "clusterctl-{os}-{arch}", ("version", "-o", "short")),
)  # fmt: skip

TOOLS = {tool.name: tool for tool in _ALL}


def in_sets(*names: str) -> list[Tool]:
    return [tool for tool in _ALL if set(names) & set(tool.sets)]
