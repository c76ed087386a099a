"""For each CEL rule of KINDClusterTemplate and KINDControlPlane: what it lets pass and what it refuses.

A template shares most rules with a KINDCluster's spec; their cases are the same objects, one level deeper.
"""

from __future__ import annotations

from collections.abc import Iterable

from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.api.v1alpha1.kindclustertemplate import KINDClusterTemplateSpec
from provider.api.v1alpha1.kindcontrolplane import KINDControlPlaneSpec
from tests.envtest.crd import JsonObject, control_plane, template
from tests.envtest.rule_cases import SPEC, Case, Change


def as_templates(objects: Iterable[JsonObject | Change]) -> list[JsonObject]:
    """Those that a template can express: nothing that belongs to one cluster."""
    known = {field.alias for field in KINDClusterTemplateSpec.model_fields.values()}
    return [template(**obj["spec"]) for obj in objects if isinstance(obj, dict) and set(obj["spec"]) <= known]


def one_level_deeper(case: Case) -> Case:
    field, *words = case.says
    return Case(
        KINDClusterTemplateSpec,
        case.rule,
        accept=as_templates(case.accept),
        reject=as_templates(case.reject),
        says=(field.replace("spec.", "spec.template.spec.", 1), *words),
    )


IN_BOTH = set(KINDClusterSpec.cel_rules) & set(KINDClusterTemplateSpec.cel_rules)
SHARED = [one_level_deeper(case) for case in SPEC if any(rule.message.startswith(case.rule) for rule in IN_BOTH)]

CLASS_CASES = [
    *SHARED,
    Case(
        KINDClusterTemplateSpec,
        "nodes lists every node",
        accept=[template(workerReplicas=2), template(nodes=[{}])],
        reject=[template(nodes=[{}], workerReplicas=0)],
        says=("spec.template.spec.nodes: ", "remove workerReplicas"),
    ),
    Case(
        KINDControlPlaneSpec,
        "version must",
        accept=[control_plane(version="v1.34.4"), control_plane(version="1.34.4"), control_plane(version="v1.34.4", replicas=3)],
        reject=[control_plane(version=version) for version in ("v1.34", "1.34", "latest")],
        says=("spec.version: ", 'such as "v1.34.4"'),
    ),
]
