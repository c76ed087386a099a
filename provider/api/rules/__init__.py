"""What several fields of an object promise together, or one field better than a pattern can say it: CEL rules of the CRD.

Each rule is written for the person who reads its message: which field, which value, what to do. Rules are kept cheap: the API server
multiplies the cost of a rule with the upper bounds of all lists around it and refuses a CRD that is too expensive (Kubernetes
apiextensions-apiserver, StaticEstimatedCostLimit). Only CEL functions of Kubernetes 1.31 are used (isIP and isCIDR are the newest).

Where a field has a pattern too, both speak: the pattern to editors and other tools, the rule to people.
Sources of what is refused: kind pkg/internal/apis/config/validate.go, kubeadm cmd/kubeadm/app/apis/kubeadm/validation, kubelet
cmd/kubelet/app/options (node labels), Cluster API contract "InfraCluster".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel

from provider.api.rules.cluster import OBJECT, SPEC, TEMPLATE, VERSION
from provider.api.rules.networking import NETWORKING
from provider.api.rules.node import MOUNT, NODE, PORT_MAPPING
from provider.api.rules.rule import Rule
from provider.api.v1alpha1 import common, kindcluster, kindcontrolplane, templates

RULES: Mapping[type[BaseModel], tuple[Rule, ...]] = MappingProxyType(
    {
        kindcluster.KINDCluster: OBJECT,
        kindcluster.KINDClusterSpec: SPEC,
        templates.KINDClusterTemplateSpec: TEMPLATE,
        kindcontrolplane.KINDControlPlaneSpec: (VERSION,),
        common.Node: NODE,
        common.Mount: MOUNT,
        common.PortMapping: PORT_MAPPING,
        common.Networking: NETWORKING,
    }
)
