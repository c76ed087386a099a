"""Rules for the CustomResourceDefinitions of a provider: what core and clusterctl read from them, and what would break these."""

from __future__ import annotations

import pytest

from capi_conformance.crds import COUNTERS, contracts, current, labels, plural, property_of, schemas
from capi_conformance.management import Json, Management
from capi_conformance.profiles import GroupKind, Profile
from capi_conformance.subject import at

COVERED_GROUPS = ("infrastructure.cluster.x-k8s.io", "controlplane.cluster.x-k8s.io", "bootstrap.cluster.x-k8s.io")
AGGREGATED = "cluster.x-k8s.io/aggregate-to-manager=true"


@pytest.mark.rule("IC-4", "CP-4", "IC-10", "CP-14", "CTL-5")
def test_the_definition_has_the_name_that_core_derives(kind: GroupKind, definition: Json) -> None:
    """Core and clusterctl look a definition up as plural of the kind and group."""
    assert f"{plural(kind.kind)}.{kind.group}" == definition["metadata"]["name"]


@pytest.mark.rule("IC-1", "CP-1")
def test_objects_live_in_namespaces(definition: Json) -> None:
    """All of a Cluster is in its namespace; a move takes a namespace."""
    assert "Namespaced" == definition["spec"]["scope"]


@pytest.mark.rule("IC-4", "CP-4", "IC-10", "CP-14")
def test_the_list_kind_is_that_of_the_kind(kind: GroupKind, definition: Json) -> None:
    """`clusterctl delete --include-crd` lists by it."""
    assert f"{kind.kind}List" == definition["spec"]["names"]["listKind"]


@pytest.mark.rule("IC-3", "CP-3")
def test_a_label_names_versions_for_a_contract(definition: Json) -> None:
    """cluster.x-k8s.io/<contract>: versions that are served, joined by underscores."""
    assert contracts(definition), f"no label cluster.x-k8s.io/v1beta2 in {labels(definition)}"
    named = {version for versions in contracts(definition).values() for version in versions}
    assert not named - set(schemas(definition)), f"named for a contract, but not served: {named - set(schemas(definition))}"


@pytest.mark.rule("IC-13", "CP-21", "CTL-5")
def test_labels_let_clusterctl_find_it(definition: Json) -> None:
    """Which provider it belongs to, and that its objects are looked at for a move."""
    missing = {"cluster.x-k8s.io/provider", "clusterctl.cluster.x-k8s.io"} - set(labels(definition))
    assert not missing, f"labels missing: {sorted(missing)}"


@pytest.mark.rule("IC-3", "CP-3")
def test_core_may_use_its_objects(kind: GroupKind, home: Management) -> None:
    """Core's role covers the groups of Cluster API; for any other one the provider brings a ClusterRole that is aggregated to it."""
    if kind.group in COVERED_GROUPS:
        return
    status, roles = home.request("GET", f"/apis/rbac.authorization.k8s.io/v1/clusterroles?labelSelector={AGGREGATED}")
    rules = [rule for role in roles["items"] for rule in role.get("rules") or ()] if status == 200 else []
    assert any({kind.group, "*"} & set(rule.get("apiGroups") or ()) for rule in rules), (
        f"no ClusterRole with {AGGREGATED} for {kind}"
    )


@pytest.mark.rule("IC-4", "CP-4")
def test_status_is_a_subresource(instance: GroupKind, home: Management) -> None:
    """In each version: core and clusterctl write it as one."""
    versions = home.definition(instance)["spec"]["versions"]
    assert [] == [one["name"] for one in versions if one["served"] and at(one, "subresources", "status") is None], (
        "versions without the subresource status"
    )


@pytest.mark.rule("IC-8", "CP-12")
def test_conditions_have_the_schema_of_conditions(instance: GroupKind, home: Management) -> None:
    """Core asserts types without checking, and its own status is refused when it mirrors a bad reason."""
    for version, schema in current(home.definition(instance)).items():
        conditions = property_of(schema, "status.conditions")
        assert "array" == conditions.get("type"), f"{version}: status.conditions is no list"
        assert ("map", ["type"]) == (conditions.get("x-kubernetes-list-type"), conditions.get("x-kubernetes-list-map-keys"))
        item = conditions["items"]
        types = {
            name: property_of(item, name).get("type") for name in ("type", "status", "reason", "message", "observedGeneration")
        }
        assert {**dict.fromkeys(types, "string"), "observedGeneration": "integer"} == types, version
        assert {"type", "status"} <= set(item.get("required") or ()), (
            f"{version}: type and status of a condition are not required"
        )
        assert {"True", "False", "Unknown"} == set(property_of(item, "status").get("enum") or ()), f"{version}: any status goes"
        assert property_of(item, "reason").get("pattern"), f"{version}: any reason goes"


@pytest.mark.rule("IC-5", "IC-7", "CP-5", "CP-10")
def test_what_core_reads_has_the_types_that_it_expects(instance: GroupKind, home: Management, profile: Profile) -> None:
    """A value of another type stops the reconciliation of the whole Cluster."""
    definition = home.definition(instance)
    for contract, versions in contracts(definition).items():
        for version in versions:
            schema = schemas(definition)[version]
            for path, wanted in expected_types(instance, contract, profile).items():
                found = property_of(schema, path)
                assert wanted == found.get("type"), f"{version}: {path} should be a {wanted}, is {found.get('type') or 'absent'}"
                assert not found.get("nullable"), f"{version}: {path} may be null"


def expected_types(kind: GroupKind, contract: str, profile: Profile) -> dict[str, str]:
    wanted: dict[str, str] = {}
    if kind == profile.infrastructure:
        wanted["status.initialization.provisioned" if contract == "v1beta2" else "status.ready"] = "boolean"
    if kind == profile.infrastructure and profile.one_object:
        wanted |= {"spec.controlPlaneEndpoint": "object"}
        wanted |= {"spec.controlPlaneEndpoint.host": "string", "spec.controlPlaneEndpoint.port": "integer"}
    if kind == profile.control_plane:
        wanted["status.initialization.controlPlaneInitialized" if contract == "v1beta2" else "status.initialized"] = "boolean"
    return wanted


@pytest.mark.rule("IC-10", "CP-14")
def test_a_template_holds_an_object(template: GroupKind, home: Management) -> None:
    """What a ClusterClass refers to is called ...Template, and has spec.template.spec."""
    assert template.kind.endswith("Template")
    for version, schema in schemas(home.definition(template)).items():
        assert "object" == property_of(schema, "spec.template.spec").get("type"), f"{version}: no spec.template.spec"


@pytest.mark.rule("IC-6")
def test_failure_domains_are_a_list_by_name(instance: GroupKind, home: Management, profile: Profile) -> None:
    """Contract v1beta2 has a list where v1beta1 had a map; core reads them only if there are any."""
    if "v1beta2" not in contracts(home.definition(instance)):
        pytest.skip("it does not keep to contract v1beta2")
    for version, schema in current(home.definition(instance)).items():
        domains = property_of(schema, "status.failureDomains")
        if instance == profile.infrastructure and not domains:
            pytest.skip("it has no failure domains")
        if domains:
            assert "array" == domains.get("type"), f"{version}: status.failureDomains is a {domains.get('type')}, not a list"


@pytest.mark.rule("CP-6")
def test_what_can_be_scaled_is_counted(instance: GroupKind, home: Management, profile: Profile) -> None:
    """With spec.replicas come the scale subresource and the counters that core shows on the Cluster; these always come together."""
    definition = home.definition(instance)
    for one in definition["spec"]["versions"]:
        if one["name"] not in current(definition):
            continue
        schema, scale = one["schema"]["openAPIV3Schema"], at(one, "subresources", "scale") or {}
        scales = scale.get("specReplicasPath") == ".spec.replicas"
        if not scales and not property_of(schema, "status.replicas"):
            if instance == profile.control_plane:
                pytest.skip("it has no notion of replicas")
            continue
        if scales:
            paths = {"statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}
            assert paths == {name: scale.get(name) for name in paths}, one["name"]
        found = {name: property_of(schema, f"status.{name}").get("type") for name in COUNTERS}
        assert dict.fromkeys(COUNTERS, "integer") == found, f"{one['name']}: counters are missing: {found}"


@pytest.mark.rule("CP-7")
def test_versions_have_the_shape_that_core_reads(instance: GroupKind, home: Management, profile: Profile) -> None:
    """A control plane with spec.version says which versions run: a list, oldest first, or the one version of older contracts."""
    for version, schema in current(home.definition(instance)).items():
        wanted, versions = property_of(schema, "spec.version"), property_of(schema, "status.versions")
        if not wanted and instance == profile.control_plane:
            pytest.skip("it has no spec.version")
        if not wanted or (not versions and property_of(schema, "status.version").get("type") == "string"):
            continue
        assert "array" == versions.get("type"), f"{version}: status.versions is a {versions.get('type') or 'nothing'}, not a list"
        assert "string" == property_of(versions["items"], "version").get("type"), f"{version}: a version is no text"
