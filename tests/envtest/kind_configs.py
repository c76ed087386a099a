"""kind configs as people write them (ingress, registries, audit logs, several nodes, dual stack…), and what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HEAD = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"
FILE = Path(__file__).with_suffix(".yaml")
"""A list of `Config`; its head says what the verdicts mean."""


@dataclass(frozen=True)
class Config:
    name: str
    verdict: str
    config: str = ""
    node_ports: int = 0
    """Instead of a text: a node with a range of so many."""
    says: tuple[str, ...] = ()

    @property
    def document(self) -> str:
        """As kind reads it."""
        if not self.node_ports:
            return HEAD + ("" if self.config == "{}\n" else self.config)
        ports = [{"containerPort": port, "hostPort": port} for port in range(30000, 30000 + self.node_ports)]
        return HEAD + yaml.safe_dump({"nodes": [{"extraPortMappings": ports}]})

    @property
    def spec(self) -> dict[str, Any]:
        """As the spec of a KINDCluster: what stands in it, under the same names."""
        fields: dict[str, Any] = yaml.safe_load(self.document)
        name = {"clusterName": fields["name"]} if "name" in fields else {}
        return name | {key: value for key, value in fields.items() if key not in ("kind", "apiVersion", "name")}


def configs(*verdicts: str) -> list[Config]:
    return [Config(**entry) for entry in yaml.safe_load(FILE.read_text()) if entry["verdict"] in verdicts]
