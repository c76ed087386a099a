"""Builds tools from source: one `go build` per family, in the folder whose go.mod and go.sum pin every module.

The flags decide what Go's build cache can reuse; changing one costs everybody a full build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hack.tools.pins import Tool

MODULES = Path(__file__).resolve().parent
TICK_SECONDS = 20.0
LAST_LINES = 15
INSTALLED_BY_HAND = "/usr/local/go/bin"
"""Where Go's own installation guide puts it; often not on PATH."""


class BuildFailed(Exception):
    """`go build` did not succeed; the message holds the end of what it said."""


def find_go(path: str) -> str | None:
    return shutil.which("go", path=os.pathsep.join([path, INSTALLED_BY_HAND]))


def build(
    go: str, tools: Sequence[Tool], work: Path, say: Callable[[str], None], *, tick: float = TICK_SECONDS
) -> dict[str, Path]:
    """Build tools of one family into the folder `work`: name to executable. Raises BuildFailed."""
    family = tools[0].family
    output = work / tools[0].name if len(tools) == 1 else work / "out"
    if len(tools) > 1:
        output.mkdir()
    flags = ["-mod=readonly", "-trimpath", "-ldflags", f"-s -w {tools[0].link_flags}", "-o", str(output)]
    log = work / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [go, "build", *flags, *(tool.package for tool in tools)],
            cwd=MODULES / family, env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
        code = _wait(process, lambda seconds: say(f"  still building {family}: {seconds // 60:.0f}:{seconds % 60:02.0f}"), tick)
    if code != 0:
        said = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        raise BuildFailed(f"go build in hack/tools/{family} ended with {code}:\n" + "\n".join(f"    {line}" for line in said))
    return {tool.name: output if len(tools) == 1 else output / tool.executable for tool in tools}


def _wait(process: subprocess.Popen[bytes], tell: Callable[[float], None], tick: float) -> int:
    began = time.monotonic()
    try:
        while True:
            try:
                return process.wait(tick)
            except subprocess.TimeoutExpired:
                tell(time.monotonic() - began)
    finally:
        if process.poll() is None:  # interrupted: Go cleans up after itself
            process.terminate()
            process.wait()
