"""provider.ports.workload.Workload: asks the API server of a cluster we made, with a short deadline. Its objects: .objects.

Nothing here is trusted. The kubeconfig goes through adapters.kube.kubeconfig, and its private key is not written to disk where the system
allows that. Whatever answers at its address may be hostile: answers are bounded, redirects are not followed, proxies are not used.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import aiohttp

from provider.adapters.kube import bounded
from provider.adapters.kube.kubeconfig import Kubeconfig, parse
from provider.adapters.kube.objects import WorkloadObjects
from provider.adapters.oserrors import lack, transient
from provider.errors import Terminal
from provider.ports.workload import WorkloadNode, WorkloadObservation

DEADLINE = 3.0
"""Seconds for all requests of one observation together."""
SESSIONS = 128
"""Clusters whose connections are kept open."""
CONNECTIONS = 5
MAX_DETAIL = 300
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404
PATHS = {
    "readyz": "/readyz",
    "version": "/version",
    "nodes": "/api/v1/nodes?limit=500",
    "account": "/api/v1/namespaces/default/serviceaccounts/default",
    "system": "/api/v1/namespaces/kube-system",
}
UID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Mapping[str, Any]:
        """Empty for anything but a JSON object."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class WorkloadProbe:
    def __init__(self, *, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._sessions: OrderedDict[bytes, aiohttp.ClientSession] = OrderedDict()
        self._expiries: OrderedDict[bytes, datetime] = OrderedDict()

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def observe(self, kubeconfig: str) -> WorkloadObservation:
        answer = await self._ask(kubeconfig)
        return replace(answer, credentials_expire_at=self._expiry(kubeconfig))

    def objects(self, kubeconfig: str) -> WorkloadObjects:
        return WorkloadObjects(partial(self._session, kubeconfig))

    def _expiry(self, kubeconfig: str) -> datetime | None:
        """Of the client certificate; remembered, because certificates are read once and looked at in every pass."""
        digest = hashlib.sha256(kubeconfig.encode()).digest()
        if digest not in self._expiries:
            try:
                self._expiries[digest] = parse(kubeconfig).expires_at
            except Terminal:
                return None
            if len(self._expiries) > SESSIONS:
                self._expiries.popitem(last=False)
        return self._expiries[digest]

    async def _ask(self, kubeconfig: str) -> WorkloadObservation:
        try:
            session = await self._session(kubeconfig)
        except Terminal as error:
            return WorkloadObservation(None, error.message)
        except ssl.SSLError:
            return WorkloadObservation(None, "The kubeconfig's certificates cannot be used.")
        except OSError as error:
            return WorkloadObservation(None, transient(error).message)
        try:
            async with asyncio.timeout(self._deadline):
                answers = await asyncio.gather(*(_get(session, path) for path in PATHS.values()))
        except TimeoutError:
            return WorkloadObservation(None, f"The API server did not answer within {self._deadline:.0f} s.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _unreachable(error)
        return judge(dict(zip(PATHS, answers, strict=True)))

    async def _session(self, kubeconfig: str) -> aiohttp.ClientSession:
        """Raises Terminal for a kubeconfig that is refused, SSLError for one whose certificates are broken."""
        digest = hashlib.sha256(kubeconfig.encode()).digest()
        session = self._sessions.get(digest)
        if session is None:
            parsed = parse(kubeconfig)
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=client_tls(parsed))
            session = aiohttp.ClientSession(parsed.server.url, connector=connector, trust_env=False)
            self._sessions[digest] = session
        self._sessions.move_to_end(digest)
        if len(self._sessions) > SESSIONS:  # the least recently used one goes
            _, oldest = self._sessions.popitem(last=False)
            await oldest.close()
        return session


def client_tls(kubeconfig: Kubeconfig) -> ssl.SSLContext:
    """TLS with the kubeconfig's authority and client certificate. Python's ssl reads keys from files only."""
    tls = ssl.create_default_context(cadata=kubeconfig.authority.decode())
    content = kubeconfig.certificate + b"\n" + kubeconfig.key
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("client", os.MFD_CLOEXEC)
        try:
            os.write(fd, content)
            tls.load_cert_chain(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        return tls
    with tempfile.NamedTemporaryFile() as file:  # 0600, removed at once; systems without memfd_create only
        file.write(content)
        file.flush()
        tls.load_cert_chain(file.name)
    return tls


async def _get(session: aiohttp.ClientSession, path: str) -> Answer:
    async with session.get(path, allow_redirects=False, headers={"Accept": "application/json"}) as response:
        return Answer(response.status, await bounded.read(response))


def _unreachable(error: Exception) -> WorkloadObservation:
    """False when nothing listens or it is not our API server; None (unknown) for anything else, e.g. a connection that was cut."""
    if (own := lack(error)) is not None:
        return WorkloadObservation(None, own.message)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return WorkloadObservation(False, "What answers there is not this cluster's API server (its certificate does not match).")
    if isinstance(error, aiohttp.ClientConnectorError):
        return WorkloadObservation(False, f"The API server cannot be reached: {error.strerror or type(error).__name__}.")
    return WorkloadObservation(None, f"The API server broke off: {type(error).__name__}.")


def judge(answers: Mapping[str, Answer]) -> WorkloadObservation:
    """The observation from the answers, by the names of PATHS. Pure."""
    ready, nodes = answers["readyz"], answers["nodes"]
    if ready.status in (UNAUTHORIZED, FORBIDDEN) or nodes.status in (UNAUTHORIZED, FORBIDDEN):
        forbidden = (ready.status, nodes.status) == (OK, FORBIDDEN)
        return WorkloadObservation(False, "The API server refuses the kubeconfig's credentials.", forbidden=forbidden)
    if ready.status != OK:
        return WorkloadObservation(False, f"/readyz answers {ready.status}: {_failed_checks(ready)}")
    if nodes.status != OK:
        return WorkloadObservation(None, f"Listing nodes answers {nodes.status}.")
    return WorkloadObservation(
        True,
        version=_text(answers["version"].json(), "gitVersion"),
        nodes=tuple(sorted(map(_node, _objects(nodes.json().get("items"))), key=lambda node: node.name)),
        default_service_account=answers["account"].status == OK,
        uid=_uid(answers["system"]),
    )


def _uid(namespace: Answer) -> str:
    """Empty where there is no namespace, or something else than a UID."""
    uid = _object(namespace.json().get("metadata")).get("uid") if namespace.status == OK else None
    return uid if isinstance(uid, str) and UID.fullmatch(uid) else ""


def _failed_checks(ready: Answer) -> str:
    """The lines of /readyz that begin with [-]; its whole text when there are none."""
    text = ready.body.decode(errors="replace")
    failed = [line for line in text.splitlines() if line.startswith("[-]")]
    return ("; ".join(failed) or text)[:MAX_DETAIL]


def _node(obj: Mapping[str, Any]) -> WorkloadNode:
    status = _object(obj.get("status"))
    ready = next((entry for entry in _objects(status.get("conditions")) if entry.get("type") == "Ready"), {})
    is_ready = ready.get("status") == "True"
    return WorkloadNode(
        name=_text(_object(obj.get("metadata")), "name"),
        ready=is_ready,
        version=_text(_object(status.get("nodeInfo")), "kubeletVersion"),
        message="" if is_ready else _text(ready, "message") or "it has not reported yet",
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(obj: Mapping[str, Any], name: str) -> str:
    return str(obj.get(name) or "")[:MAX_DETAIL]
