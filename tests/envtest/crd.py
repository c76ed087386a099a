"""KINDClusters on a real API server: install the CRD, ask what the server thinks of an object. Nothing is stored unless said."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from devenv.controlplane import ManagementAPI
from hack.crdgen import BASES
from provider.api import names
from provider.api.v1alpha1 import RESOURCES
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindclustertemplate import KINDCLUSTER_TEMPLATES
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES

JsonObject = dict[str, Any]

NAMESPACE = "default"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
COLLECTION = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{NAMESPACE}/kindclusters"
DRY = "?dryRun=All&fieldValidation=Strict"
SAMPLES = Path(__file__).parents[2] / "config" / "samples"


def kindcluster(name: str = "example", **spec: Any) -> JsonObject:
    """A KINDCluster with these spec fields, named as in JSON."""
    return {
        "apiVersion": KINDCLUSTERS.api_version,
        "kind": KINDCLUSTERS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def collection(kind: str) -> str:
    """Path of all objects of one of our kinds."""
    (resource,) = (served.resource for served in RESOURCES if served.resource.kind == kind)
    return f"/apis/{resource.api_version}/namespaces/{NAMESPACE}/{resource.plural}"


def template(**spec: Any) -> JsonObject:
    """A KINDClusterTemplate of these spec fields."""
    obj = kindcluster(updatePolicy="Report", **spec)
    return {**obj, "kind": KINDCLUSTER_TEMPLATES.kind, "spec": {"template": {"spec": obj["spec"]}}}


def control_plane(**spec: Any) -> JsonObject:
    """A KINDControlPlane of these spec fields."""
    resource = KINDCONTROLPLANES
    return {**kindcluster(), "apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}


class KindClusters:
    """One server's opinion of KINDClusters."""

    def __init__(self, api: ManagementAPI) -> None:
        self.api = api

    def install(self) -> None:
        self.api.kubectl("apply", "-f", str(BASES))
        self.api.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(BASES))

    def definition(self) -> JsonObject:
        """The CRD as the server has it, with its conditions."""
        return self._expect("GET", f"{CRDS}/{KINDCLUSTERS.plural}.{names.GROUP}")

    def complaints(self, obj: JsonObject) -> list[str]:
        """Why the server refuses to create it: "field: message" each; empty when it would accept."""
        return _complaints(*self.api.request("POST", collection(obj["kind"]) + DRY, obj))

    def complaints_about_change(self, old: JsonObject, new: JsonObject) -> list[str]:
        """Why the server refuses to turn the one into the other. `old` is stored for that moment."""
        stored = self.create(old)
        try:
            new = copy.deepcopy(new)
            new["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]
            return _complaints(*self.api.request("PUT", f"{COLLECTION}/{old['metadata']['name']}{DRY}", new))
        finally:
            self.delete(old["metadata"]["name"])

    def complaints_about_status(self, stored: JsonObject, status: JsonObject) -> list[str]:
        """Why the server refuses a status of a stored object."""
        obj = {**stored, "status": status}
        return _complaints(*self.api.request("PUT", f"{COLLECTION}/{stored['metadata']['name']}/status{DRY}", obj))

    def create(self, obj: JsonObject, *, strict: bool = True) -> JsonObject:
        """Store it. Raises AssertionError with the server's message when it is refused."""
        return self._expect("POST", COLLECTION + ("?fieldValidation=Strict" if strict else "?fieldValidation=Ignore"), obj)

    def set_status(self, stored: JsonObject, status: JsonObject) -> JsonObject:
        return self._expect("PUT", f"{COLLECTION}/{stored['metadata']['name']}/status", {**stored, "status": status})

    def delete(self, name: str) -> None:
        self._expect("DELETE", f"{COLLECTION}/{name}")

    def _expect(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        status, answer = self.api.request(method, path, body)
        assert status < 300, answer.get("message", answer)
        return answer


def _complaints(status: int, answer: JsonObject) -> list[str]:
    if status < 300:
        return []
    causes = answer.get("details", {}).get("causes", [])
    return [f"{cause.get('field')}: {cause['message']}" for cause in causes] or [answer["message"]]
