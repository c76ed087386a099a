"""The rules of Cluster API's three contract pages, numbered, and what became of each of them in a run.

The pages are the book's "Contract rules for InfraCluster" (IC), "Contract rules for ControlPlane" (CP) and "clusterctl Provider Contract"
(CTL), contract version v1beta2. IC and CP have a table of rules: a rule's number is its row. CTL has none: its numbers are those of its
sections that oblige a provider, in their order.

A check names the rules that it is about by the marker `rule`. A rule without a check says why in `unchecked`.
"""

from __future__ import annotations

from dataclasses import dataclass

BOOK = "https://cluster-api.sigs.k8s.io/developer/providers/contracts"
PAGES = {"IC": "infra-cluster", "CP": "control-plane", "CTL": "clusterctl"}

_MACHINES = "about providers whose control plane consists of Machines; the kit's subject is a Cluster as a whole"
_REPOSITORY = (
    "about files of a release; `clusterctl init` and `clusterctl generate`, by which a provider gets here, have accepted them"
)
_SERVER = "the API server gives them to every object, whatever a definition says"
_ABSENCE = "an offer of the contract; nothing is wrong with a provider without it"


@dataclass(frozen=True)
class Rule:
    id: str
    """Page and number, e.g. "IC-7"."""
    title: str
    """As on the page."""
    mandatory: bool = False
    """The page says so without a condition."""
    unchecked: str = ""
    """Why the kit has no check for it."""

    @property
    def page(self) -> str:
        return f"{BOOK}/{PAGES[self.id.partition('-')[0]]}"


RULES = (
    Rule("IC-1", "All resources: scope", mandatory=True),
    Rule("IC-2", "All resources: TypeMeta and ObjectMeta field", mandatory=True, unchecked=_SERVER),
    Rule("IC-3", "All resources: APIVersion field value", mandatory=True),
    Rule("IC-4", "InfraCluster, InfraClusterList resource definition", mandatory=True),
    Rule("IC-5", "InfraCluster: control plane endpoint"),
    Rule("IC-6", "InfraCluster: failure domains"),
    Rule("IC-7", "InfraCluster: initialization completed", mandatory=True),
    Rule("IC-8", "InfraCluster: conditions"),
    Rule("IC-9", "InfraCluster: terminal failures", unchecked="v1beta2 has no special handling of them any more"),
    Rule("IC-10", "InfraClusterTemplate, InfraClusterTemplateList resource definition"),
    Rule("IC-11", "Externally managed infrastructure"),
    Rule("IC-12", "Multi tenancy", unchecked="about credentials of clouds; a provider without accounts has none"),
    Rule("IC-13", "Clusterctl support"),
    Rule("IC-14", "InfraCluster: pausing"),
    Rule("CP-1", "All resources: scope", mandatory=True),
    Rule("CP-2", "All resources: TypeMeta and ObjectMeta field", mandatory=True, unchecked=_SERVER),
    Rule("CP-3", "All resources: APIVersion field value", mandatory=True),
    Rule("CP-4", "ControlPlane, ControlPlaneList resource definition", mandatory=True),
    Rule("CP-5", "ControlPlane: endpoint"),
    Rule("CP-6", "ControlPlane: replicas"),
    Rule("CP-7", "ControlPlane: version"),
    Rule("CP-8", "ControlPlane: machines", unchecked=_MACHINES),
    Rule("CP-9", "ControlPlane: rolloutAfter", unchecked=_ABSENCE),
    Rule("CP-10", "ControlPlane: initialization completed", mandatory=True),
    Rule("CP-11", "ControlPlane: in-place updates", unchecked=_MACHINES),
    Rule("CP-12", "ControlPlane: conditions"),
    Rule("CP-13", "ControlPlane: terminal failures", unchecked="v1beta2 has no special handling of them any more"),
    Rule("CP-14", "ControlPlaneTemplate, ControlPlaneTemplateList resource definition"),
    Rule("CP-15", "Cluster kubeconfig management", mandatory=True),
    Rule("CP-16", "Cluster certificate management", unchecked=_ABSENCE),
    Rule("CP-17", "Machine placement", unchecked=_MACHINES),
    Rule("CP-18", "Metadata propagation", unchecked=_MACHINES),
    Rule("CP-19", "MinReadySeconds and UpToDate propagation", unchecked=_MACHINES),
    Rule(
        "CP-20",
        "Support for running multiple instances",
        unchecked="the kit runs one manager; flags cannot be tried on another's",
    ),
    Rule("CP-21", "Clusterctl support"),
    Rule("CP-22", "ControlPlane: pausing"),
    Rule("CTL-1", "Metadata YAML", mandatory=True, unchecked=_REPOSITORY),
    Rule("CTL-2", "Components YAML: target namespace", mandatory=True, unchecked=_REPOSITORY),
    Rule("CTL-3", "Components YAML: controllers and watching namespace", unchecked="the kit runs one manager"),
    Rule("CTL-4", "Components YAML: variables", unchecked=_REPOSITORY),
    Rule("CTL-5", "Components YAML: labels", mandatory=True),
    Rule("CTL-6", "Workload cluster templates", mandatory=True),
    Rule("CTL-7", "ClusterClass definitions", unchecked=_REPOSITORY),
    Rule("CTL-8", "OwnerReferences chain", mandatory=True),
    Rule("CTL-9", "Links to external objects", unchecked="about objects outside of a Cluster's tree; the kit makes none"),
    Rule("CTL-10", "Move", mandatory=True),
)
BY_ID = {rule.id: rule for rule in RULES}


def named(rules: tuple[str, ...]) -> str:
    """For people: "IC-7 InfraCluster: initialization completed"."""
    return ", ".join(f"{one} {BY_ID[one].title}" for one in rules)
