"""provider.ports.kube.Kube over `kubernetes.aio`: generic requests and plain dicts, no model classes (their import takes seconds).

One HTTP request per call, with a deadline. Failures become provider.errors and are never retried here, except once with a new login
after a 401. Knows nothing of Cluster API.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from provider.adapters.kube.login import Login
from provider.adapters.kube.session import Session
from provider.adapters.oserrors import raise_lack
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.errors import Conflict, ProviderError, Terminal, Transient

DEADLINE = 15.0
"""Seconds for one request, queueing for a connection included."""
PAGE = 500
"""Objects per page of a list; client-go's default, too."""
SERVED_FOR = 10.0
"""Seconds for which the answer to "is this API group served?" is cached: every pass asks it."""
FIELD_MANAGER = "cluster-api-provider-kind"
MERGE_PATCH = "application/merge-patch+json"

Query = list[tuple[str, str]]
Objects = list[JsonObject]

OK_MIN, OK_MAX = 200, 299
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TIMEOUT, CONFLICT, GONE = 401, 403, 404, 408, 409, 410
UNPROCESSABLE, TOO_MANY, SERVER_ERRORS = 422, 429, 500
SHOWN = 1000
"""Characters of a server's message that are passed on."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: JsonObject
    """Empty when it is not a JSON object."""
    retry_after: float | None = None
    date: datetime | None = None
    """When the server answered, by its own clock (RFC 9110, Date)."""

    @property
    def ok(self) -> bool:
        return OK_MIN <= self.status <= OK_MAX

    @property
    def unknown_path(self) -> bool:
        """404 because the server does not know the resource, not because it lacks the object (then it names it in details)."""
        return self.status == NOT_FOUND and "details" not in self.body


class KubeClient:
    """One per process. `login` is called on first use and again after a 401."""

    def __init__(self, login: Callable[[], Awaitable[Login]], *, deadline: float = DEADLINE) -> None:
        self._login, self._deadline = login, deadline
        self._current: Session | None = None
        self._login_lock = asyncio.Lock()
        self._versions: dict[str, str] = {}
        self._served: dict[str, tuple[float, bool]] = {}

    async def connect(self) -> None:
        """Load credentials, without a request. Raises Terminal when they cannot be used."""
        await self._logged_in()

    async def close(self) -> None:
        if self._current is not None:
            await self._current.close()

    # --- the port --------------------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, key: ObjectKey) -> JsonObject | None:
        answer = await self._resource_request("GET", resource, key)
        return None if answer is None else self._checked(answer, resource, key)

    async def list(self, resource: Resource, *, namespace: str | None = None, labels: str = "") -> Objects:
        where = ObjectKey(namespace or "", "")
        selector: Query = [("labelSelector", labels)] if labels else []
        paging: Query = [("limit", str(PAGE))]
        items: Objects = []
        while (answer := await self._resource_request("GET", resource, where, query=selector + paging)) is not None:
            if answer.status == GONE and paging:
                # The continue token is older than etcd's last compaction: one page of everything is consistent again.
                items, paging = [], []
                continue
            page = self._checked(answer, resource, where)
            kind = {"apiVersion": page["apiVersion"], "kind": resource.kind}
            items += [kind | item for item in page["items"]]
            if not (more := page["metadata"].get("continue")):
                break
            paging = [("limit", str(PAGE)), ("continue", more)]
        return items

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject:
        meta = obj["metadata"]
        key = ObjectKey(meta.get("namespace", ""), meta.get("name", ""))
        query = [("fieldManager", FIELD_MANAGER)]
        answer = await self._resource_request("POST", resource, ObjectKey(key.namespace, ""), query=query, body=obj)
        if answer is None:
            raise Transient(
                Reason.NOT_FOUND, f"{resource.kind} {key} cannot be created: its namespace or its type does not exist."
            )
        return self._checked(answer, resource, key)

    async def patch(
        self, resource: Resource, key: ObjectKey, patch: JsonObject, *, subresource: str = "", version: str | None = None
    ) -> JsonObject | None:
        if version is not None:
            patch = patch | {"metadata": (patch.get("metadata") or {}) | {"resourceVersion": version}}
        query = [("fieldManager", FIELD_MANAGER)]
        answer = await self._resource_request("PATCH", resource, key, subresource=subresource, query=query, body=patch)
        return None if answer is None else self._checked(answer, resource, key)

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str | None = None, version: str | None = None) -> None:
        wanted = {"uid": uid, "resourceVersion": version}
        preconditions = {name: value for name, value in wanted.items() if value is not None}
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions"} | (
            {"preconditions": preconditions} if preconditions else {}
        )
        answer = await self._resource_request("DELETE", resource, key, body=options)
        if answer is not None:
            self._checked(answer, resource, key)

    async def time(self) -> datetime | None:
        # Every answer has it, also one that refuses: a right to read this path is not needed.
        return (await self._request("GET", "/version", [], None)).date

    async def serves(self, group: str) -> bool:
        now = asyncio.get_running_loop().time()
        until, served = self._served.get(group, (now, False))
        if group and now >= until:
            served = await self._preferred_version(group) is not None
            self._served[group] = (now + SERVED_FOR, served)
        return served or not group

    # --- requests about a resource ---------------------------------------------------------------------------------------------

    async def _resource_request(
        self,
        method: str,
        resource: Resource,
        key: ObjectKey,
        *,
        subresource: str = "",
        query: Query | None = None,
        body: JsonObject | None = None,
    ) -> Answer | None:
        """None for 404. A discovered version that is no longer served is discovered anew, once."""
        if not (_can_be_a_name(key.name) and _can_be_a_name(key.namespace)):
            return None
        for _ in range(2):  # the second time with the version discovered anew
            version = resource.version or await self._discovered(resource.group)
            if version is None:
                return None
            path = path_of(resource, version, key, subresource)
            answer = await self._request(method, path, query or [], body)
            if answer.status != NOT_FOUND:
                return answer
            if resource.version or not answer.unknown_path or self._versions.pop(resource.group, None) is None:
                return None
        return None

    async def _discovered(self, group: str) -> str | None:
        if group not in self._versions and (version := await self._preferred_version(group)) is not None:
            self._versions[group] = version
        return self._versions.get(group)

    async def _preferred_version(self, group: str) -> str | None:
        answer = await self._request("GET", f"/apis/{quote(group)}", [], None)
        if answer.status == NOT_FOUND:
            return None
        version: str = self._body(answer, f"API group {group}")["preferredVersion"]["version"]
        return version

    def _checked(self, answer: Answer, resource: Resource, key: ObjectKey) -> JsonObject:
        return self._body(answer, f"{resource.kind} {key}")

    @staticmethod
    def _body(answer: Answer, what: str) -> JsonObject:
        """Raises ProviderError for a failure, and for a success without an object: what answered is no API server."""
        if not answer.ok:
            raise error_of(answer, what)
        if not answer.body:
            raise Transient(Reason.API_ERROR, f"{what}: HTTP {answer.status} without an object. Is there a proxy in between?")
        return answer.body

    # --- one request -----------------------------------------------------------------------------------------------------------

    async def _request(self, method: str, path: str, query: Query, body: JsonObject | None) -> Answer:
        try:
            async with asyncio.timeout(self._deadline):
                used = await self._logged_in()
                async with used.request() as login:
                    answer = await _send(login, method, path, query, body)
                if answer.status == UNAUTHORIZED:
                    async with (await self._logged_in(replacing=used)).request() as login:
                        answer = await _send(login, method, path, query, body)
                return answer
        except TimeoutError as error:
            raise Transient(
                Reason.API_TIMEOUT, f"The API server did not answer {method} within {self._deadline:.0f} s."
            ) from error
        except OSError as error:
            raise_lack(error)
            # aiohttp's connection errors are OSErrors; their text names the address, nothing secret.
            raise Transient(Reason.MANAGEMENT_UNREACHABLE, f"The API server cannot be reached: {error}.") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "aiohttp":
                raise
            raise Transient(Reason.MANAGEMENT_UNREACHABLE, f"The API server broke off: {type(error).__name__}.") from error

    async def _logged_in(self, *, replacing: Session | None = None) -> Session:
        """The current login; a new one if there is none, or if the current one is still `replacing`, which the server refused.

        Several requests may get a 401 for the same login: only the first of them logs in again.
        """
        async with self._login_lock:
            if self._current is None or self._current is replacing:
                former, self._current = self._current, Session(await self._login())
                if former is not None:
                    await former.retire()
            return self._current


def path_of(resource: Resource, version: str, key: ObjectKey, subresource: str = "") -> str:
    """URL path of an object, or of the collection when the key has no name."""
    root = f"/apis/{resource.group}/{version}" if resource.group else f"/api/{version}"
    namespace = f"/namespaces/{quote(key.namespace)}" if key.namespace else ""
    parts = [part for part in (quote(key.name), subresource) if part]
    return "/".join([f"{root}{namespace}/{resource.plural}", *parts])


def _can_be_a_name(text: str) -> bool:
    """Whether it is one segment of a path. References are free text: as a path, "../.." would lead to other people's objects."""
    return text not in (".", "..") and not set(text) & set("/%")


async def _send(login: Login, method: str, path: str, query: Query, body: JsonObject | None) -> Answer:
    headers = {"Accept": "application/json", "Content-Type": MERGE_PATCH if method == "PATCH" else "application/json"}
    request = await login.client.param_serialize(
        method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
    )
    response = await login.client.call_api(*request, _request_timeout=DEADLINE)
    data = await response.read()
    return Answer(
        response.status, _decoded(data), _seconds(response.headers.get("Retry-After")), _date(response.headers.get("Date"))
    )


def _decoded(data: bytes) -> JsonObject:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def _date(text: str | None) -> datetime | None:
    """None for what is no time of the zone GMT, which RFC 9110 wants."""
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


def error_of(answer: Answer, what: str) -> ProviderError:
    """The error for an answer that is neither success nor a meaningful 404."""
    message = str(answer.body.get("message") or f"HTTP {answer.status}")[:SHOWN]
    said = str(answer.body.get("reason") or "")
    reason = _reason(answer, said)
    text = f"{what}: {message}" + (f" ({said})" if said and Reason(said) is Reason.UNKNOWN else "")
    if answer.status == CONFLICT:
        return Conflict(reason, text)
    if reason is Reason.API_ERROR:
        return Transient(reason, text, retry_after=answer.retry_after)
    return Terminal(reason, text)


def _reason(answer: Answer, said: str) -> Reason:
    """From the status code; `said`, the server's own reason, is one of a list that grows with Kubernetes."""
    if answer.status == CONFLICT:
        return Reason.ALREADY_EXISTS if said == Reason.ALREADY_EXISTS else Reason.CONFLICT
    if answer.status in (TIMEOUT, TOO_MANY, UNAUTHORIZED) or answer.status >= SERVER_ERRORS:
        return Reason.API_ERROR
    if answer.status == FORBIDDEN:
        return Reason.NAMESPACE_TERMINATING if Reason.NAMESPACE_TERMINATING in _causes(answer) else Reason.FORBIDDEN
    return Reason.INVALID if answer.status == UNPROCESSABLE else Reason.BAD_REQUEST


def _causes(answer: Answer) -> set[str]:
    """Reasons in the details of a Status; NamespaceTerminating is one of the API server's own."""
    found = (answer.body.get("details") or {}).get("causes") or []
    return {str(cause.get("reason")) for cause in found}
