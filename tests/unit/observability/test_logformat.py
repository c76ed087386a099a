"""provider.observability.logformat: readable lines, machine lines, and no secret in either."""

from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from provider.adapters.local import pki
from provider.api.meta import ObjectKey
from provider.observability.logformat import MAX_VALUE, ConsoleFormatter, JsonFormatter, redact

CANARY = "c4n4ryC4N4RYc4n4ry0123456789"
PEM = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----"


def kubeconfig() -> str:
    authority = pki.authority()
    return pki.kubeconfig("https://127.0.0.1:1", authority, pki.client(authority, "admin")).decode()


def line(formatter: logging.Formatter, message: str, *args: object, **extra: object) -> str:
    record = logging.getLogger("test").makeRecord("test", logging.WARNING, "file.py", 1, message, args, None, extra=extra)
    return formatter.format(record)


@pytest.mark.fault(42, "secrets of each known form are logged", invariants="I11")
@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.replace("\n", "\\n"),
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}",
        f"client-key-data: {CANARY}",
        f'"client-key-data": "{CANARY}"',
        f"'client-certificate-data': '{CANARY}', 'x': 1",
        f"token: {CANARY}",
        f'{{"token":"{CANARY}"}}',
        f"password={CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"Authorization: Basic {CANARY}",
        f"{{'authorization': 'Bearer {CANARY}'}}",
        f"sent bearer {CANARY}",
        f"eyJhbGciOiJSUzI1NiIs.{CANARY}.{CANARY}",
        base64.b64encode(PEM.encode()).decode(),
        f"data: {base64.b64encode(f'apiVersion: v1 {CANARY}'.encode()).decode()}",
    ],
)
def test_secrets_are_cut_out(text: str) -> None:
    """Keys, tokens, kubeconfigs, in every notation they come in."""
    found = redact(f"before {text} after")

    assert CANARY not in found
    assert base64.b64encode(CANARY.encode()).decode()[4:20] not in found
    assert "[redacted]" in found
    assert found.startswith("before ")


@pytest.mark.fault(42, "a kubeconfig is logged", invariants="I11")
def test_a_whole_kubeconfig_leaves_no_key_behind() -> None:
    """As text, as JSON in JSON, and as a Secret holds it."""
    text = kubeconfig()
    key = json.loads(text)["users"][0]["user"]["client-key-data"]
    for form in (text, json.dumps(text), repr(text), base64.b64encode(text.encode()).decode()):
        found = redact(form)
        assert key not in found
        assert base64.b64encode(key.encode()).decode()[10:60] not in found


@pytest.mark.parametrize(
    "text",
    [
        "Starting control-plane",
        "object=default/demo verb=create reason=ToolsMissing",
        "https://127.0.0.1:6443/readyz: connection refused",
        "spec.nodes[0].image: kindest/node:v1.34.4@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "marker 0123456789abcdef0123456789abcdef",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    """Redaction that eats the message is no help at three in the morning."""
    assert redact(text) == text


@pytest.mark.fault(42, "secrets in the arguments and values of a record are logged", invariants="I11")
def test_extra_values_and_arguments_are_redacted_too() -> None:
    """A secret does not care how it got into the record."""
    for formatter in (ConsoleFormatter(), JsonFormatter()):
        text = line(formatter, "Said %s", f"token: {CANARY}", error=f"password={CANARY}", headers={"token": CANARY})
        assert CANARY not in text


@pytest.mark.fault(42, "an exception carries a secret", invariants="I11")
def test_tracebacks_are_redacted() -> None:
    """An exception's text often quotes what it choked on."""
    error = ValueError(PEM)
    record = logging.LogRecord("test", logging.ERROR, "file.py", 1, "Failed", None, (ValueError, error, None))

    for formatter in (ConsoleFormatter(), JsonFormatter()):
        text = formatter.format(record)
        assert CANARY not in text
        assert "ValueError" in text


def test_json_lines_are_one_object_each() -> None:
    """With the usual members and every extra value."""
    record = json.loads(line(JsonFormatter(), "Job ended", object="default/demo", seconds=1.5, ok=True, text="a\nb"))

    assert record["msg"] == "Job ended"
    assert record["level"] == "warning"
    assert (record["object"], record["seconds"], record["ok"], record["text"]) == ("default/demo", 1.5, True, "a\nb")
    assert record["ts"].endswith("Z")


def test_console_lines_are_key_value_pairs_on_one_line() -> None:
    """Quoted only where needed; a line break cannot forge a line."""
    text = line(ConsoleFormatter(), "Job ended", object="default/demo", error='said "no"\nand more', empty="")

    assert text.endswith('W Job ended object=default/demo error="said \\"no\\"\\nand more" empty=""')
    assert "\n" not in text


def test_an_object_is_named_by_its_kind() -> None:
    """As controller-runtime and klog.KObj do, so that one query finds an object in the logs of all of Cluster API's managers."""
    key = ObjectKey("default", "demo")

    assert {"namespace": "default", "name": "demo"} == json.loads(line(JsonFormatter(), "Looking", KINDCluster=key))[
        "KINDCluster"
    ]
    assert line(ConsoleFormatter(), "Looking", KINDCluster=key).endswith("Looking KINDCluster=default/demo")


def test_long_values_are_cut() -> None:
    """One huge message must not fill the disk."""
    assert len(redact("x" * 100_000)) <= MAX_VALUE + 1


def test_set_up_takes_over_the_root_logger() -> None:
    """Every library's line goes through the filter, also its warnings; debug does not wake kopf's dumps of whole objects."""
    code = f"""
import logging, warnings
from provider.observability.logformat import set_up
set_up("json", "debug")
logging.getLogger("some.library").info("token: {CANARY}")
logging.getLogger("kopf.objects").debug("a whole object: {CANARY}")
warnings.warn("password={CANARY}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])

    assert done.stdout == ""
    assert CANARY not in done.stderr
    assert "some.library" in done.stderr
    assert "kopf" not in done.stderr
    assert all(json.loads(text) for text in done.stderr.splitlines())
