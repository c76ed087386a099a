"""Where paths of this host lead. In a process of its own, because a network file system that hangs holds whoever looks, for ever."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

from provider.adapters.process.command import Command, CommandTimeout, run_command
from provider.api.conditions import Reason
from provider.errors import Transient

DEADLINE = 5.0
"""Seconds."""
RESOLVE = "import json, os, sys; json.dump([os.path.realpath(path) for path in json.load(sys.stdin)], sys.stdout)"


async def real_paths(paths: Sequence[str]) -> Mapping[str, str]:
    """With all symbolic links followed; what does not exist stays as it is written. Raises Transient, for no answer in time as well."""
    command = Command(argv=[sys.executable, "-I", "-S", "-c", RESOLVE], env={}, timeout=DEADLINE, stdin=json.dumps(list(paths)))
    try:
        done = await run_command(command)
    except CommandTimeout as error:
        message = (
            f"One of {', '.join(paths)} does not answer within {DEADLINE:.0f} s: a file system hangs. Looked at again shortly."
        )
        raise Transient(Reason.HOST_ERROR, message) from error
    return dict(zip(paths, json.loads(done.stdout), strict=True))
