"""The binaries of a local control plane that are small scripts: enough to make, mend and remove a cluster with, in a second, with faults.

`FakeComponents(folder)` writes one command per component; `find` is what LocalRuntime wants. Faults are kept in a file that every start
of a component looks at. The commands are two lines that run this module, so: standard library only, and little of it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "v1.34.4"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
COMMAND = """#!{python} -IS
import runpy, sys
runpy.run_path({module!r}, {{"COMMAND_PATH": sys.argv[0]}}, "component")
"""


SILENT_COMMAND = """#!/bin/sh
if [ -e "$0.fault" ]; then rm "$0.fault"; echo "$0: told to end" >&2; exit 1; fi
exec sleep 3600
"""
"""For the components that nobody asks anything: starts ten times as fast, and its only fault is to die."""
SPEAKING = ("kube-apiserver", "kwok")


class FakeComponents:
    """The test's side: install, and set faults."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.missing: set[str] = set()
        for name in NAMES:
            path = folder / name
            path.write_text(COMMAND.format(python=sys.executable, module=__file__) if name in SPEAKING else SILENT_COMMAND)
            path.chmod(0o755)

    def find(self, name: str) -> str | None:
        return None if name in self.missing else str(self.folder / name)

    def fault(self, component: str, what: str, times: int = 1) -> None:
        """For the next starts: "die" (with a word on it); for those that listen also "hang" (never answer) and "robbed" (somebody else
        has the port); for the API server also "refuse" (nodes)."""
        (self.folder / f"{component}.fault").write_text(json.dumps([what] * times))


# --- the commands' side ---------------------------------------------------------------------------------------------------------


def main(argv: list[str]) -> None:
    name = Path(argv[0]).name
    flags = dict(word.removeprefix("--").partition("=")[::2] for word in argv[1:])
    if "version" in flags:
        sys.stdout.write(f"Kubernetes {VERSION}\n")
        return
    fault, port = _next_fault(Path(argv[0])), _port(flags)
    if fault == "die":
        sys.exit(f"{name}: told to end")
    if fault == "robbed":
        _robbed(port)
    if fault == "hang" or not port:
        time.sleep(3600)
    elif name == "kwok":
        _listen(port)
    else:
        _serve(port, flags, refuse=fault == "refuse")


def _next_fault(path: Path) -> str:
    file = path.with_name(f"{path.name}.fault")
    faults: list[str] = json.loads(file.read_text()) if file.exists() else []
    if not faults:
        return ""
    file.write_text(json.dumps(faults[1:]))
    return faults[0]


def _port(flags: dict[str, str]) -> int:
    return int(flags.get("secure-port") or flags.get("server-address", ":0").rpartition(":")[2])


def _robbed(port: int) -> None:
    """Somebody else listens on the port when this program comes to it. The robber does not live long."""
    listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
    if os.fork():
        sys.exit(f"listen tcp 127.0.0.1:{port}: bind: address already in use")
    time.sleep(3.0)
    listener.close()
    os._exit(0)


def _listen(port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        listener.accept()[0].close()


def _serve(port: int, flags: dict[str, str], *, refuse: bool) -> None:
    import ssl
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    folder = Path(flags["tls-cert-file"]).parent

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200, {})

        def do_POST(self) -> None:
            node = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = folder / f"{node['metadata']['name']}.node"
            status = 422 if refuse else 409 if path.exists() else 201
            if status == 201:
                path.write_text(json.dumps(node))
            self._answer(status, {"message": "told to refuse"} if refuse else {})

        def _answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Silent."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(flags["tls-cert-file"], flags["tls-private-key-file"])
    context.load_verify_locations(flags["client-ca-file"])
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "component":
    main([globals()["COMMAND_PATH"], *sys.argv[1:]])
