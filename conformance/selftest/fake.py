"""A provider that keeps to the contract, or breaks it in the one way that `spec.fault` of its objects names.

It lists everything ten times a second; a workload cluster is a forwarder (forwarders.py). One thread for each management cluster.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import threading
import time
from typing import Any

from devenv.controlplane import ManagementAPI
from selftest.forwarders import Forwarders, Key

PAUSED, MANAGED_BY = "cluster.x-k8s.io/paused", "cluster.x-k8s.io/managed-by"
INFRASTRUCTURE = "/apis/infrastructure.cluster.x-k8s.io/v1alpha1"
CONTROL_PLANE = "/apis/controlplane.cluster.x-k8s.io/v1alpha1"
CLUSTERS = "/apis/cluster.x-k8s.io/v1beta2"
PLURALS = {"FakeCluster": f"{INFRASTRUCTURE}/fakeclusters", "FakeControlPlane": f"{CONTROL_PLANE}/fakecontrolplanes"}
MERGE = "application/merge-patch+json"
PASS_SECONDS = 0.1
LATER_SECONDS = 6.0
"""How late a fault does what should have been done before."""
AGAIN = "again"
"""Provisioned for the second time."""

Json = dict[str, Any]


class Lost(Exception):
    """The object has changed or gone: look at it again in the next pass."""


class FakeProvider(threading.Thread):
    """`servers`: the API servers behind the forwarders; a new cluster gets the first, one made anew the other."""

    def __init__(self, api: ManagementAPI, forwarders: Forwarders, servers: list[ManagementAPI]) -> None:
        super().__init__(daemon=True)
        self.api, self.forwarders, self.servers = ManagementAPI(api.folder), forwarders, servers
        self._stopping = threading.Event()
        self._since: dict[tuple[Key, str], float] = {}
        self._moving: set[Key] = set()

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)
        self.api.disconnect()

    def run(self) -> None:
        while not self._stopping.wait(PASS_SECONDS):
            for kind, path in PLURALS.items():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    self._look_at(kind, [{**obj, "kind": kind} for obj in self._get(path).get("items", [])])

    def _look_at(self, kind: str, objects: list[Json]) -> None:
        for obj in objects:
            with contextlib.suppress(Lost):
                _Pass(self, obj).run()
        if kind == "FakeControlPlane":
            moving = {_key(obj) for obj in objects if obj["spec"].get("fault") == "deletes-in-a-move"}
            for key in self._moving - moving:  # a move takes finalizers away: such a provider sees that the object is gone
                self.forwarders.remove(key)
            self._moving = moving

    def elapsed(self, key: Key, what: str) -> float:
        """Seconds since this was first asked."""
        return time.monotonic() - self._since.setdefault((key, what), time.monotonic())

    def _get(self, path: str) -> Json:
        status, found = self.api.request("GET", path)
        return found if status == http.client.OK else {}


class _Pass:
    """One object, looked at once."""

    def __init__(self, provider: FakeProvider, obj: Json) -> None:
        self.provider, self.forwarders, self.obj = provider, provider.forwarders, obj
        self.meta, self.status = obj["metadata"], obj.get("status") or {}
        self.key = _key(obj)
        self.fault = str(obj["spec"].get("fault") or "")
        self.path = self._object_path(obj["kind"])
        self.cluster = self._owner()

    def run(self) -> None:
        if MANAGED_BY in self._annotations() and self.fault != "touches-what-others-manage":
            return
        if "deletionTimestamp" in self.meta:
            self._delete()
        elif self.cluster or self.fault == "works-without-a-cluster":
            self._reconcile()

    # --- a pass -------------------------------------------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        self._add_finalizer()
        if self.fault == "makes-it-anew-after-a-move" and self._is_elsewhere():
            self._swap()  # while it is still paused: before Cluster API connects to the old one
        if self._say_paused() and self.fault != "works-while-paused":
            return
        if self.obj["kind"] == "FakeControlPlane":
            self._reconcile_control_plane()
        else:
            self._reconcile_infrastructure()

    def _add_finalizer(self) -> None:
        if self.meta.get("finalizers") or self.fault == "no-finalizer":
            return
        if self.fault == "makes-it-anew-after-finalizers-were-lost" and self.status.get("initialization"):
            self._make_anew()
        if self.fault == "adds-finalizers-once" and self.status.get("initialization"):
            return
        self._patch({"metadata": {"finalizers": [self._finalizer]}})

    def _say_paused(self) -> bool:
        """Whether it is."""
        paused = self._paused()
        if self.fault == "never-resumes" and self._condition("Paused").get("status") == "True":
            return True
        if self.fault == "no-paused-condition":
            return paused
        self._say("Paused", "True" if paused else "False", "Paused" if paused else "NotPaused")
        if paused and self.fault == "writes-while-paused":
            self._write_status({"heartbeat": str(time.monotonic_ns())})
        if paused and self.fault == "makes-it-anew-while-paused" and self.provider.elapsed(self.key, "paused") > 1:
            self._make_anew()
        return paused

    def _reconcile_infrastructure(self) -> None:
        """Provisioned once the control plane is about to come up, with an endpoint."""
        if not (self.forwarders.target(self.key) and self._secret()):
            return
        if self.fault != "provisioned-without-an-endpoint" or self._later("endpoint"):
            self._set_endpoint()
        ready: Json = {} if self.fault == "forgets-a-contract" else {"ready": True}
        if self.fault == "takes-provisioned-back":
            ready["heartbeat"] = {None: "once", "once": "back"}.get(self.status.get("heartbeat"), AGAIN)
        self._write_status({"initialization": {"provisioned": ready.get("heartbeat") != "back"}, **ready})
        self._say("Ready", "True", "Provisioned", "All is well" if self.fault == "talks-when-all-is-well" else "")
        if self.fault == "a-bad-row":
            self._say("Licensed", "False", "NoLicense", "Buy one")
        if self.fault == "no-reason":
            self._say("Extra", "True", "")
        if self.fault == "heartbeat":
            self._write_status({"heartbeat": str(time.monotonic_ns())})

    def _reconcile_control_plane(self) -> None:
        """Opens the forwarder, publishes its address, waits for the infrastructure, and becomes initialized."""
        early = self.fault in ("initialized-before-the-kubeconfig", "initialized-before-the-api-answers")
        if self.fault == "initialized-before-the-kubeconfig" and not self._later("secret"):
            self._initialized()
            return
        if not self.forwarders.target(self.key) and self._may_open():
            self.forwarders.forward(self.key, self._server_port(1 if self.key in self.forwarders.gone else 0))
        self._publish()
        if early or self._infrastructure_ready():
            self._initialized()
        if self.fault == "dies-later" and self._available_for(2.5):
            self.forwarders.forward(self.key, 0)

    def _may_open(self) -> bool:
        if self.fault == "dies-later" and self.status.get("initialized"):
            return False
        if self.fault == "initialized-before-the-api-answers":
            return self._later("answer")
        return True

    def _initialized(self) -> None:
        if self.fault in ("never-initialized", "never-rebuilds-status") and (
            self._is_elsewhere() or self.fault == "never-initialized"
        ):
            return
        counters = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas"), 1)
        if self.fault == "miscounts":
            counters["availableReplicas"] = 0
        versions = [{"version": "v1.34.4", "replicas": 1}]
        self._write_status({**counters, "versions": versions, "selector": "fake=none"})
        self._write_status({"initialization": {"controlPlaneInitialized": True}, "initialized": True})
        self._say("Ready", "True", "Up")
        self._say("Available", "True", "Up")

    def _delete(self) -> None:
        if not self.meta.get("finalizers"):
            return
        if self._paused() and self.fault != "deletes-while-paused":
            self._say_paused()
            return
        if self.fault != "deletes-silently":
            self._say("Ready", "False", "Deleting", "It is taken down")
        if self.fault == "never-lets-go":
            return
        if self.obj["kind"] == "FakeControlPlane":
            if self.fault != "lets-go-too-early":
                self.forwarders.remove(self.key)
            if self.fault != "leaves-the-secret":
                self._request("DELETE", self._secret_path)
        self._patch({"metadata": {"finalizers": None}})

    # --- parts --------------------------------------------------------------------------------------------------------------------

    def _paused(self) -> bool:
        annotation = self._annotations().get(PAUSED)
        by_annotation = annotation == "true" if self.fault == "only-true-pauses" else annotation is not None
        by_cluster = bool((self.cluster.get("spec") or {}).get("paused"))
        if self.fault == "deaf-to-pauses" or (self.fault == "makes-while-paused" and not self.status.get("initialization")):
            return False
        return by_annotation or by_cluster

    def _publish(self) -> None:
        """The kubeconfig Secret; what is wrong with one that is there is put right."""
        kubeconfig = json.loads(self.provider.servers[0].kubeconfig.read_text())
        if self._is_anew():
            kubeconfig = json.loads(self.provider.servers[1].kubeconfig.read_text())
        kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.forwarders.port(self.key)}"
        if self.fault == "plugin-in-kubeconfig":
            kubeconfig["users"].append({"name": "plugin", "user": {"exec": {"command": "true"}}})
        data = {"value": base64.b64encode(json.dumps(kubeconfig).encode()).decode()}
        present = self._secret()
        owners = [] if self.fault in ("unowned-secret", "leaves-the-secret") else [self._reference()]
        if self.fault == "owns-secrets-once" and present:
            owners = present["metadata"].get("ownerReferences") or []
        label = "another" if self.fault == "mislabelled-secret" else self.key[1]
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque" if self.fault == "opaque-secret" else "cluster.x-k8s.io/secret",
            "metadata": {
                "name": f"{self.key[1]}-kubeconfig",
                "labels": {"cluster.x-k8s.io/cluster-name": label},
                "ownerReferences": owners,
            },
            "data": data,
        }
        if not present:
            self._request("POST", self._secret_path.rpartition("/")[0], secret)
        elif present["data"] != data or (present["metadata"].get("ownerReferences") or []) != owners:
            self._request("PATCH", self._secret_path, {"data": data, "metadata": {"ownerReferences": owners}})

    def _make_anew(self) -> None:
        self._swap()
        self._publish()

    def _swap(self) -> None:
        """Another cluster behind the same address."""
        if not self._is_anew():
            self.forwarders.forward(self.key, self._server_port(1))

    def _is_anew(self) -> bool:
        return self.forwarders.target(self.key) == self._server_port(1)

    def _is_elsewhere(self) -> bool:
        """In another management cluster than the one where clusters are made."""
        return self.provider.api.url != self.provider.servers[0].url

    def _server_port(self, number: int) -> int:
        return int(self.provider.servers[number].url.rpartition(":")[2])

    def _set_endpoint(self) -> None:
        endpoint = {"host": "127.0.0.1", "port": self.forwarders.port(self.key)}
        if self.obj["spec"].get("controlPlaneEndpoint") != endpoint:
            self._patch({"spec": {"controlPlaneEndpoint": endpoint}})

    def _infrastructure_ready(self) -> bool:
        infrastructure = self.provider._get(self._object_path("FakeCluster"))
        if self.fault == "takes-provisioned-back" and (infrastructure.get("status") or {}).get("heartbeat") != AGAIN:
            return False
        return bool(((infrastructure.get("status") or {}).get("initialization") or {}).get("provisioned"))

    def _available_for(self, seconds: float) -> bool:
        conditions = (self.cluster.get("status") or {}).get("conditions") or ()
        available = any((one["type"], one["status"]) == ("Available", "True") for one in conditions)
        return available and self.provider.elapsed(self.key, "available") > seconds

    def _later(self, what: str) -> bool:
        return self.provider.elapsed(self.key, what) > LATER_SECONDS

    def _say(self, kind: str, status: str, reason: str, message: str = "") -> None:
        """A condition; nothing is written when it says so already."""
        generation = {"observedGeneration": self.meta["generation"]}
        wanted = {"type": kind, "status": status, "message": message, **generation, **({"reason": reason} if reason else {})}
        present = self._condition(kind)
        if {name: present.get(name) for name in ("type", "status", "message", "observedGeneration", "reason")} == {
            "reason": None,
            **wanted,
        }:
            return
        changed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        others = [one for one in self.status.get("conditions") or () if one["type"] != kind]
        self._write_status({"conditions": [*others, {**wanted, "lastTransitionTime": changed}]})

    def _condition(self, kind: str) -> Json:
        return next((one for one in self.status.get("conditions") or () if one["type"] == kind), {})

    def _write_status(self, status: Json) -> None:
        if {name: self.status.get(name) for name in status} != status:
            self._patch({"status": status}, "/status")

    def _patch(self, body: Json, subresource: str = "") -> None:
        """What comes back is what there is from now on."""
        metadata = {**body.get("metadata", {}), "resourceVersion": self.meta["resourceVersion"]}
        answer = self._request("PATCH", self.path + subresource, {**body, "metadata": metadata})
        self.obj = {**answer, "kind": self.obj["kind"]}
        self.meta, self.status = answer["metadata"], answer.get("status") or {}

    def _request(self, method: str, path: str, body: Json | None = None) -> Json:
        kind = MERGE if method == "PATCH" else "application/json"
        status, answer = self.provider.api.request(method, path, body, content_type=kind)
        if status in (http.client.CONFLICT, http.client.NOT_FOUND):
            if method == "DELETE":
                return {}
            raise Lost
        if status >= http.client.BAD_REQUEST:
            raise Lost(str(answer))
        return answer

    def _owner(self) -> Json:
        for owner in self.meta.get("ownerReferences") or ():
            if owner["kind"] == "Cluster":
                return self.provider._get(f"{CLUSTERS}/namespaces/{self.key[0]}/clusters/{owner['name']}")
        return {}

    def _secret(self) -> Json:
        return self.provider._get(self._secret_path)

    def _reference(self) -> Json:
        return {
            "apiVersion": self.obj["apiVersion"] if "apiVersion" in self.obj else CONTROL_PLANE.removeprefix("/apis/"),
            "kind": self.obj["kind"],
            "name": self.key[1],
            "uid": self.meta["uid"],
        }

    @property
    def _secret_path(self) -> str:
        return f"/api/v1/namespaces/{self.key[0]}/secrets/{self.key[1]}-kubeconfig"

    @property
    def _finalizer(self) -> str:
        return f"{self.obj['kind'].lower()}.cluster.x-k8s.io"

    def _annotations(self) -> dict[str, str]:
        return self.meta.get("annotations") or {}

    def _object_path(self, kind: str) -> str:
        base, _, plural = PLURALS[kind].rpartition("/")
        return f"{base}/namespaces/{self.key[0]}/{plural}/{self.key[1]}"


def _key(obj: Json) -> Key:
    return (obj["metadata"]["namespace"], obj["metadata"]["name"])
