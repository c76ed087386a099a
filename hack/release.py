"""`make release-artifacts`: what a release publishes, laid out as a local repository of clusterctl.

    python -m hack.release [--out FOLDER] [--image IMAGE]

Writes FOLDER/infrastructure-kind/vVERSION/ with infrastructure-components.yaml (config/default), metadata.yaml and the templates, and
FOLDER/clusterctl.yaml, which names the provider to clusterctl: copy its entry or pass it as `clusterctl --config`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from hack.tools import find
from provider import __version__

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "release"
VERSION = f"v{__version__}"
PROVIDER = "infrastructure-kind"
COMPONENTS = "infrastructure-components.yaml"
IMAGE = "ghcr.io/cluster-api-provider-kind/cluster-api-provider-kind"
IMAGE_LINE = re.compile(rf"^(\s+image: ){re.escape(IMAGE)}:\S+$", re.MULTILINE)


class ReleaseFailed(Exception):
    """The artifacts would not work; the message says why."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.release", description="Write the artifacts of a release.")
    parser.add_argument("--out", type=Path, default=OUT, help="where to; default: out/release")
    parser.add_argument("--image", default=f"{IMAGE}:{VERSION}", help="the manager's image; default: the published one")
    options = parser.parse_args(arguments)
    try:
        folder = write(options.out, options.image)
    except ReleaseFailed as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print("\n".join(str(path) for path in sorted(folder.iterdir())))
    print(f"Try it:  clusterctl --config {options.out / 'clusterctl.yaml'} init --infrastructure kind")
    return 0


def write(out: Path, image: str = f"{IMAGE}:{VERSION}") -> Path:
    """Returns the folder of this version; what an earlier run left of it is replaced. Raises ReleaseFailed."""
    _check_metadata()
    folder = out.absolute() / PROVIDER / VERSION
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / COMPONENTS).write_text(components(image))
    shutil.copyfile(ROOT / "metadata.yaml", folder / "metadata.yaml")
    for template in (ROOT / "templates").glob("*.yaml"):
        shutil.copyfile(template, folder / template.name)
    (out / "clusterctl.yaml").write_text(clusterctl_config(folder))
    return folder


def components(image: str) -> str:
    """config/default as one file, with this image."""
    rendered = subprocess.run(
        [_kubectl(), "kustomize", str(ROOT / "config" / "default")], capture_output=True, text=True, check=True
    ).stdout
    text, times = IMAGE_LINE.subn(rf"\g<1>{image}", rendered)
    if times != 1:
        raise ReleaseFailed(f"config/manager names the image {IMAGE} {times} times instead of once")
    return text


def clusterctl_config(folder: Path) -> str:
    entry = {"name": "kind", "type": "InfrastructureProvider", "url": (folder / COMPONENTS).as_uri()}
    return f"# Copy the entry into $XDG_CONFIG_HOME/cluster-api/clusterctl.yaml, or pass this file as --config.\n{_dump([entry])}"


def _dump(providers: list[dict[str, str]]) -> str:
    return yaml.safe_dump({"providers": providers}, sort_keys=False, width=1000)


def _check_metadata() -> None:
    major, minor = (int(part) for part in __version__.split(".")[:2])
    series = yaml.safe_load((ROOT / "metadata.yaml").read_text())["releaseSeries"]
    if not any((entry["major"], entry["minor"]) == (major, minor) for entry in series):
        raise ReleaseFailed(f"metadata.yaml has no release series {major}.{minor} for {VERSION}")


def _kubectl() -> str:
    try:
        return find.path("kubectl")
    except find.ToolMissing as error:
        raise ReleaseFailed(str(error)) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
