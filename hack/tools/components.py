"""What Cluster API's release installs of its core (CRDs, webhooks, roles, the Deployment), as one file, kept in the tools' cache.

Downloaded with a checksum, or rendered from the release's own sources in Go's module cache, where the core manager was built from.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from hack.tools import cache
from hack.tools.acquire import Means
from hack.tools.build import MODULES
from hack.tools.download import DownloadFailed
from hack.tools.pins import CLUSTER_API, CORE_COMPONENTS, CORE_METADATA

IMAGE = f"registry.k8s.io/cluster-api/cluster-api-controller:{CLUSTER_API}"
UNRELEASED = "/cluster-api-controller:"


class ComponentsMissing(Exception):
    """The file is not here and cannot be had; the message says what to do."""


def folder() -> Path:
    """Where core-components.yaml and metadata.yaml are, in the layout of a local repository of clusterctl. Raises ComponentsMissing."""
    place = _place(cache.root())
    if not place.is_dir():
        raise ComponentsMissing(f"no {place}; run `make tools-capi`")
    return place


def acquire(means: Means) -> str:
    """Make `folder()` usable. Returns why it cannot be had; empty when it is there."""
    if _place(means.cache).is_dir():
        return ""
    with cache.locked(means.cache, waiting=lambda: means.say("waiting for another run that gets tools")):
        return "" if _place(means.cache).is_dir() else _fetch(means)


def _fetch(means: Means) -> str:
    place = _place(means.cache)
    place.parent.mkdir(parents=True, exist_ok=True)
    with cache.workspace(means.cache) as work:
        fresh = work / "fresh"
        fresh.mkdir()
        reason = _download(means, work, fresh)
        if reason:
            reason = _render(means, fresh, reason)
        if not reason:
            fresh.rename(place)
    return reason


def _place(root: Path) -> Path:
    return root / "store" / "cluster-api" / CLUSTER_API


def _download(means: Means, work: Path, target: Path) -> str:
    try:
        for file in (CORE_COMPONENTS, CORE_METADATA):
            shutil.move(means.downloads.fetch(file, work), target / file.name)
    except (DownloadFailed, OSError, ValueError) as error:
        return str(error)
    return ""


def _render(means: Means, target: Path, reason: str) -> str:
    kubectl = means.cache / "bin" / "kubectl"
    if means.go is None or not kubectl.exists():
        return f"{reason}; without Go and kubectl it cannot be rendered from its sources"
    try:
        source = Path(json.loads(_run(means.go, "mod", "download", "-json", f"sigs.k8s.io/cluster-api@{CLUSTER_API}"))["Dir"])
        rendered = _run(str(kubectl), "kustomize", str(source / "core" / "config" / "default"))
    except subprocess.CalledProcessError as error:
        return f"{reason}; rendering from source: {error.stderr.strip()[-500:]}"
    lines = [f"{line.partition('image:')[0]}image: {IMAGE}" if UNRELEASED in line else line for line in rendered.splitlines()]
    (target / CORE_COMPONENTS.name).write_text("\n".join(lines) + "\n")
    shutil.copyfile(source / "metadata.yaml", target / CORE_METADATA.name)
    return ""


def _run(*argv: str) -> str:
    return subprocess.run(argv, cwd=MODULES / "capi", capture_output=True, text=True, check=True).stdout
