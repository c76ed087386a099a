"""provider.ports.workload.Objects: objects of any kind in a cluster we made, over the connections of provider.adapters.kube.workload.

One HTTP request per call (a list has one for each page), with a deadline, never repeated here. What answers may be hostile: answers are
bounded, redirects are not followed, proxies are not used.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from provider.adapters.kube import bounded
from provider.adapters.kube.client import SHOWN, Answer, error_of, path_of
from provider.adapters.oserrors import lack, transient
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource, part
from provider.errors import Conflict, Terminal, Transient
from provider.ports.workload import Served

DEADLINE = 10.0
"""Seconds for one request: an API server waits up to that long for an admission webhook."""
PAGE = 100
"""Objects per page of a list: a CRD may have a hundred thousand bytes."""
MOST_PAGES = 100
FIELD_MANAGER = "cluster-api-provider-kind"
NEEDED = frozenset({"get", "list", "patch", "delete"})
"""Verbs of a kind whose objects can be kept up; others, such as TokenReview, are questions."""
JSON = "application/json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
APPLY_PATCH = "application/apply-patch+yaml"
NOT_FOUND, UNPROCESSABLE, SERVER_ERROR = 404, 422, 500
MALFORMED = "failed to create typed patch object"
"""What an API server (seen with 1.34) says of a field that the kind does not have, as an internal error."""


class WorkloadObjects:
    def __init__(self, session: Callable[[], Awaitable[aiohttp.ClientSession]], *, deadline: float = DEADLINE) -> None:
        """`session` gives the connections of the cluster; raises Terminal for a kubeconfig that is refused."""
        self._session, self._deadline = session, deadline

    async def versions(self, group: str) -> list[str]:
        answer = await self._request("GET", f"/apis/{group}")
        if answer.status == NOT_FOUND:
            return []
        body = _checked(answer, f"API group {group}")
        preferred = part(body, "preferredVersion").get("version")
        found = [str(one.get("version")) for one in _entries(body.get("versions"))]
        return sorted(found, key=lambda version: version != preferred)

    async def served(self, api_version: str) -> Mapping[str, Served]:
        group, _, version = api_version.rpartition("/")
        answer = await self._request("GET", f"/apis/{api_version}" if group else f"/api/{version}")
        if answer.status == NOT_FOUND:
            return {}
        found = {}
        for entry in _entries(_checked(answer, f"API {api_version}").get("resources")):
            plural, kind, verbs = str(entry.get("name")), str(entry.get("kind")), entry.get("verbs")
            if "/" not in plural and isinstance(verbs, list) and set(verbs) >= NEEDED:
                found[kind] = Served(Resource(group, version, plural, kind), entry.get("namespaced") is True)
        return found

    async def get(self, resource: Resource, key: ObjectKey) -> JsonObject | None:
        answer = await self._request("GET", path_of(resource, resource.version, key))
        return None if answer.status == NOT_FOUND else _checked(answer, _what(resource, key))

    async def list(
        self, resource: Resource, selector: str, *, namespace: str = "", metadata_only: bool = False
    ) -> list[JsonObject]:
        query = {"labelSelector": selector, "limit": str(PAGE)}
        path = path_of(resource, resource.version, ObjectKey(namespace, ""))
        accept = METADATA_ONLY if metadata_only else JSON
        found: list[JsonObject] = []
        for _ in range(MOST_PAGES):
            answer = await self._request("GET", path, query=query, accept=accept)
            if answer.status == NOT_FOUND:
                return []
            body = _checked(answer, f"List of {resource.plural}")
            found += _entries(body.get("items"))
            token = part(body, "metadata").get("continue")
            if not isinstance(token, str) or not token:
                return found
            query = {**query, "continue": token}
        raise Transient(Reason.API_ERROR, f"List of {resource.plural}: more than {MOST_PAGES} pages of {PAGE}.")

    async def apply(self, resource: Resource, key: ObjectKey, obj: JsonObject) -> JsonObject:
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        answer = await self._request(
            "PATCH", path_of(resource, resource.version, key), query=query, body=obj, content=APPLY_PATCH
        )
        if answer.status == NOT_FOUND:
            message = str(answer.body.get("message") or "the API server does not know this kind")
            raise Transient(Reason.NOT_FOUND, f"{_what(resource, key)}: {message}")
        if answer.status == SERVER_ERROR and str(answer.body.get("message")).startswith(MALFORMED):
            raise Terminal(Reason.INVALID, f"{_what(resource, key)}: {str(answer.body['message'])[:SHOWN]}")
        if answer.status == UNPROCESSABLE and "metadata.uid" in _fields(answer):
            raise Conflict(Reason.CONFLICT, f"{_what(resource, key)}: another object has this name by now.")
        return _checked(answer, _what(resource, key))

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str) -> None:
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        answer = await self._request("DELETE", path_of(resource, resource.version, key), body=body)
        if answer.status != NOT_FOUND and not answer.ok:
            raise error_of(answer, _what(resource, key))

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        accept: str = JSON,
        content: str = JSON,
    ) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "Content-Type": content}
        try:
            async with asyncio.timeout(self._deadline):
                session = await self._session()
                async with session.request(
                    method, path, params=query, data=data, headers=headers, allow_redirects=False
                ) as response:
                    return Answer(response.status, _decoded(await bounded.read(response)))
        except TimeoutError as error:
            raise Transient(
                Reason.API_TIMEOUT, f"The cluster's API server did not answer within {self._deadline:.0f} s."
            ) from error
        except ssl.SSLError as error:
            raise Transient(Reason.API_UNREACHABLE, "The kubeconfig's certificates cannot be used.") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise lack(error) or Transient(
                Reason.API_UNREACHABLE, f"The cluster's API server broke off: {type(error).__name__}."
            ) from error
        except OSError as error:
            raise transient(error) from error


def _what(resource: Resource, key: ObjectKey) -> str:
    return f"{resource.kind} {f'{key.namespace}/' if key.namespace else ''}{key.name}"


def _checked(answer: Answer, what: str) -> JsonObject:
    """Raises ProviderError for a failure, and for a success without an object."""
    if not answer.ok:
        raise error_of(answer, what)
    if not answer.body:
        raise Transient(Reason.API_ERROR, f"{what}: HTTP {answer.status} without an object.")
    return answer.body


def _fields(answer: Answer) -> set[str]:
    """That a server complains about."""
    return {str(cause.get("field")) for cause in _entries(part(answer.body, "details").get("causes"))}


def _decoded(data: bytes) -> JsonObject:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _entries(value: Any) -> list[JsonObject]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
