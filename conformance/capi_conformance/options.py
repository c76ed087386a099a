"""The kit's options, declared once: `--NAME` of the command `capi-conformance`, `--conformance-NAME` of pytest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PREFIX = "--conformance-"
PROFILE_VARIABLE = "CONFORMANCE_PROFILE"


@dataclass(frozen=True)
class Option:
    name: str
    type: Callable[[str], object]
    help: str

    @property
    def for_pytest(self) -> str:
        """Prefixed: pytest and its plugins have options of their own."""
        return PREFIX + self.name

    @property
    def for_command(self) -> str:
        return f"--{self.name}"


PROFILE = Option("profile", Path, f"YAML file that describes the provider (default: ${PROFILE_VARIABLE})")
KUBECONFIG = Option("kubeconfig", Path, "management cluster to use, whatever host the profile names (default: $KUBECONFIG)")
TARGET_KUBECONFIG = Option(
    "target-kubeconfig", Path, "second management cluster, to move clusters to; without it moves are skipped"
)
STABLE_SECONDS = Option("stable-seconds", float, "for this long nothing may be written to a cluster at rest (default: 120)")

REPORT = Option("report", Path, "write what became of each rule of the contract into this file, as Markdown")

ALL = (PROFILE, KUBECONFIG, TARGET_KUBECONFIG, STABLE_SECONDS, REPORT)
