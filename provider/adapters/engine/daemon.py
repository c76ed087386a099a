"""The name by which one engine daemon is told from another: "docker/worker-1/3f2a91c0ffee". Pure (docs/adr/0085).

Engine and digest identify the daemon, the host name in between is for people: hosts are renamed. The digest is made of what lasts as
long as the daemon's containers do:

- docker, nerdctl: the daemon's own id and its data folder. The id alone is not enough: docker before 24 keeps it in /etc/docker, where
  several daemons of one host share it;
- podman, which has no daemon and no id: the host's name and the folder of its store.
"""

from __future__ import annotations

import hashlib
from typing import Any

DIGITS = 12
LONGEST_HOST = 64


def daemon_name(engine: str, answer: Any, namespace: str = "") -> str:
    """From the answer of `info`. `namespace`: containerd's, each of which has containers of its own."""
    if "host" in answer:
        host = str(answer["host"].get("hostname") or "")
        parts = [host, str(answer["store"]["graphRoot"])]
    else:
        host = str(answer.get("Name") or "")
        parts = [str(answer.get("ID") or host), str(answer.get("DockerRootDir") or "")]
    digest = hashlib.sha256("\0".join([engine, *parts, namespace]).encode()).hexdigest()[:DIGITS]
    return f"{engine}/{host.replace('/', '_')[:LONGEST_HOST]}/{digest}"


def same_daemon(one: str, other: str) -> bool:
    """Whether two names are of one daemon, whatever its host is called by now."""
    return _compared(one) == _compared(other)


def _compared(name: str) -> tuple[str, str]:
    engine, _, rest = name.partition("/")
    return engine, rest.rpartition("/")[2]
