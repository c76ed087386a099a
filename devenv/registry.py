"""A registry's image for tests: the official one where it is here or can be pulled, else one made of Debian's package docker-registry.

The latter holds one program and the two libraries that it needs, so that no base image is asked for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from devenv import engine
from provider.adapters.kind.shared_registry import RegistryOptions

OFFICIAL = RegistryOptions().image
OWN = "localhost/capk-registry:debian"
PACKAGE = "docker-registry"
PROGRAM = "usr/bin/docker-registry"
CONFIG = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}
http: {addr: ":5000"}
"""
ENTRYPOINT = 'ENTRYPOINT ["/usr/bin/docker-registry", "serve", "/etc/docker/registry/config.yml"]'
LIBRARY = re.compile(r"(/\S+) \(0x")
"""A path in what ldd prints."""
PULL_SECONDS = 20.0


def image() -> str:
    """Its name on the engine; made if need be. Raises RuntimeError where it can be had neither way."""
    for name in (OFFICIAL, OWN):
        if engine.docker("image", "ls", "-q", name):
            return name
    try:
        engine.docker("pull", "-q", OFFICIAL, timeout=PULL_SECONDS)
    except (subprocess.SubprocessError, OSError):
        return _made()
    return OFFICIAL


def _made() -> str:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise RuntimeError(
            f"No image of a registry: {OFFICIAL} cannot be pulled, and this is no Debian. Load one under that name."
        )
    with tempfile.TemporaryDirectory() as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True, capture_output=True, timeout=120)
        (package,) = Path(folder).glob(f"{PACKAGE}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True, capture_output=True, timeout=60)
        libraries = LIBRARY.findall(
            subprocess.run(["ldd", str(root / PROGRAM)], check=True, capture_output=True, text=True).stdout
        )
        config = Path(folder) / "config.yml"
        config.write_text(CONFIG)
        with tarfile.open(archive, "w") as tar:
            tar.add(root / PROGRAM, PROGRAM)
            tar.add(config, "etc/docker/registry/config.yml")
            for library in libraries:
                tar.add(Path(library).resolve(), library.lstrip("/"))
        changes = [ENTRYPOINT, "VOLUME /var/lib/registry", "EXPOSE 5000"]
        engine.docker("import", *(word for change in changes for word in ("--change", change)), str(archive), OWN)
    return OWN
