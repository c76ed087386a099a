"""Log lines for people or for machines, without secrets.

Messages are constant; what varies is in `extra` and becomes key=value (console) or a JSON member. An object is named by its kind, as
controller-runtime and klog.KObj do: KINDCluster=namespace/name, in JSON "KINDCluster": {"namespace": ..., "name": ...}. Secrets are
redacted by the formatter of the root logger's only handler, so that libraries' records are redacted, too.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from provider.api.meta import ObjectKey

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""Attributes that every record has; all others came through `extra`."""
HIDDEN = "[redacted]"
SECRETS = [
    # A PEM block, whole or cut off, also with its line ends escaped.
    re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|$)", re.DOTALL),
    # Members of a kubeconfig or a Secret, in YAML, JSON or repr notation.
    re.compile(
        r"(?i)(?P<kept>['\"]?(?:client-key-data|client-certificate-data|certificate-authority-data|client-key|token|id-token"
        r"|refresh-token|access-token|password|bootstrap-token)['\"]?\s*[:=]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;}\]]+)"
    ),
    re.compile(r"(?i)(?P<kept>authorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic)\s+)[^\s'\",}]+"),
    re.compile(r"(?i)(?P<kept>\bbearer\s+)[A-Za-z0-9._~+/-]{8,}=*"),
    # A JSON Web Token, and base64 of a PEM block or of a kubeconfig ("apiVersion:", '{"apiVersion') as Secrets hold them.
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    re.compile(r"[A-Za-z0-9+/]{160,}={0,2}"),  # no name, path or digest is that long without a break
    re.compile(r"\b(?:LS0tLS1CRUdJTi|YXBpVmVyc2lvbj|eyJhcGlWZXJzaW9u|ewogICJhcGlWZXJzaW9u)[A-Za-z0-9+/]{8,}={0,2}"),
]
MAX_VALUE = 4000
"""Characters of one message or value; longer ones are cut."""
QUIET = {
    "kopf": logging.CRITICAL,  # every retry of an unreachable API server; provider.controller.watch logs the outage once
    "kubernetes": logging.ERROR,
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
}
"""Least level of libraries that log too much. With --log-level=debug it is WARNING: at debug they dump whole objects."""


def redact(text: str) -> str:
    """Replace what looks like a key, a token or a kubeconfig; in doubt too much."""
    for pattern in SECRETS:
        text = pattern.sub(lambda found: found.groupdict().get("kept", "") + HIDDEN, text)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD and not name.startswith("_")}


def plain(value: Any) -> Any:
    """A value as JSON can hold it, without secrets."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, ObjectKey):
        return {"namespace": redact(value.namespace), "name": redact(value.name)}
    if isinstance(value, Mapping):
        return redact(json.dumps({str(name): str(member) for name, member in value.items()}))
    return redact(str(value))


def time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": redact(record.getMessage()),
        }
        line |= {name: plain(value) for name, value in extras(record).items()}
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class ConsoleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        values = "".join(f" {name}={_quoted(plain(value))}" for name, value in extras(record).items())
        line = f"{time_of(record)} {record.levelname[0]} {redact(record.getMessage())}{values}"
        return f"{line}\n{redact(self.formatException(record.exc_info))}" if record.exc_info else line


def _quoted(value: Any) -> str:
    text = f"{value['namespace']}/{value['name']}" if isinstance(value, dict) else str(value)
    return json.dumps(text, ensure_ascii=False) if not text or re.search(r"[\s\"=]", text) else text


def set_up(log_format: str, level: str) -> None:
    """Take over the root logger: one handler to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least if level != "debug" else logging.WARNING)
    logging.captureWarnings(capture=True)
