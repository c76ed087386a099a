"""An app in a workload cluster that answers: what a user waits for, after Ready.

Two pods: one serves, the other resolves kubernetes.default, then reaches the first by the name of its Service, and ends. So scheduling, the
pod network, DNS and Services work. No image is pulled: both run programs of the node itself (socat, getent, curl are in every node image),
in the image of the pod sandbox, which every node has.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from devenv import engine

KUBECONFIG = "/etc/kubernetes/admin.conf"
PORT = 8080
SECONDS = 120.0
POLL_SECONDS = 0.1
ANSWER = 'printf "HTTP/1.0 200 OK\\r\\n\\r\\nhello\\n"'
SERVE = ["/usr/bin/socat", f"TCP-LISTEN:{PORT},fork,reuseaddr", f"SYSTEM:{ANSWER}"]
ASK = (
    "until /usr/bin/getent hosts kubernetes.default.svc.cluster.local >/dev/null"
    f' && [ "$(/usr/bin/curl -sf http://web.default.svc.cluster.local:{PORT})" = hello ]; do /usr/bin/sleep {POLL_SECONDS}; done'
)
FOLDERS = {"usr": "/usr", "bin": "/usr/bin", "lib": "/usr/lib", "lib64": "/usr/lib64"}
"""Where a program of the node finds its shell and its libraries: places in the pod, and on the node."""


def seconds_to_answer(node: str) -> float:
    """From apply, in the control plane node `node`, until the app has answered. Raises SystemExit when it does not."""
    began = time.monotonic()
    apply(node, objects(sandbox_image(node)))
    while phase(node) != "Succeeded":
        if time.monotonic() - began > SECONDS:
            raise SystemExit(f"no answer within {SECONDS:.0f} s: {engine.run_in(node, *kubectl('describe', 'pods'))[-3000:]}")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


def objects(image: str) -> list[dict[str, Any]]:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    return [
        {**service, "spec": {"selector": {"app": "web"}, "ports": [{"port": PORT}]}},
        _pod("web", image, SERVE, "Always"),
        _pod("asks", image, ["/usr/bin/bash", "-c", ASK], "Never"),
    ]


def sandbox_image(node: str) -> str:
    """What containerd starts every pod with."""
    images: list[dict[str, list[str]]] = json.loads(engine.run_in(node, "crictl", "images", "-o", "json"))["images"]
    return next(tag for image in images for tag in image["repoTags"] if "/pause:" in tag)


def kubectl(*args: str) -> tuple[str, ...]:
    return ("kubectl", f"--kubeconfig={KUBECONFIG}", *args)


def apply(node: str, items: list[dict[str, Any]]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    argv = ["docker", "exec", "-i", node, *kubectl("apply", "-f", "-")]
    subprocess.run(argv, input=text, text=True, capture_output=True, timeout=60, check=True)


def phase(node: str) -> str:
    return engine.run_in(node, *kubectl("get", "pod", "asks", "-o", "jsonpath={.status.phase}"))


def _pod(name: str, image: str, command: list[str], restart: str) -> dict[str, Any]:
    mounts = [{"name": volume, "mountPath": f"/{volume}", "readOnly": True} for volume in FOLDERS]
    container = {"name": "it", "image": image, "imagePullPolicy": "Never", "command": command, "volumeMounts": mounts}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": restart,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
            "volumes": [{"name": volume, "hostPath": {"path": path}} for volume, path in FOLDERS.items()],
        },
    }
