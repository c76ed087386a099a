"""The order in which ways to a tool are tried, and what is said about it."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hack.tools import build, cache, fitting
from hack.tools.download import DownloadFailed, Downloads
from hack.tools.pins import Tool, in_sets

HAVE_GO = "install Go (https://go.dev/doc/install), so that it can be built from source"


def _say(line: str) -> None:
    print(f"tools: {line}", file=sys.stderr, flush=True)


@dataclass
class Means:
    """What there is to work with."""

    cache: Path
    path: str
    downloads: Downloads
    go: str | None
    say: Callable[[str], None] = _say

    @classmethod
    def of_this_machine(cls, path: str = "") -> Means:
        """`path`: where tools are looked for, $PATH unless it is given."""
        path = path or os.environ.get("PATH", os.defpath)
        return cls(cache.root(), path, Downloads(), build.find_go(path))


@dataclass
class Acquired:
    """`ready`: name to where it came from. `problems`: name to what is wrong and what to do."""

    ready: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def all_of(means: Means, *sets: str) -> str:
    """Get every tool of these sets. Returns what could not be had, in words; empty when all is there."""
    problems = acquire(in_sets(*sets), means).problems
    return "; ".join(f"{name}: {problem}" for name, problem in problems.items())


def acquire(tools: Sequence[Tool], means: Means) -> Acquired:
    """Make bin/NAME of the cache usable for each tool. Safe to run twice at once; raises nothing for a tool that cannot be had."""
    result = Acquired()
    if all(_at_hand(tool, means, result) for tool in tools):
        return result
    with cache.locked(means.cache, waiting=lambda: means.say("waiting for another run that gets tools")):
        cache.sweep(means.cache)
        missing = [tool for tool in tools if not _at_hand(tool, means, result)]
        reasons = {tool.name: why for tool in missing if (why := _download(tool, means, result))}
        left = [tool for tool in missing if tool.name in reasons]
        for family in dict.fromkeys(tool.family for tool in left):
            _build([tool for tool in left if tool.family == family], means, result, reasons)
    return result


def _at_hand(tool: Tool, means: Means, result: Acquired) -> bool:
    """Whether the tool is on this machine already; links it then."""
    given, linked = means.cache / tool.name, means.cache / "bin" / tool.name
    ways: list[tuple[str, Callable[[], Path | None]]] = [
        ("given", lambda: given if given.is_file() else None),
        ("PATH", lambda: fitting.on_path(tool, means.path, means.cache)),
        ("cache", lambda: place if (place := cache.stored(means.cache, tool)).is_file() else None),
        ("linked before", lambda: linked.resolve() if linked.is_file() and fitting.fits(tool, linked) else None),
    ]
    for how, find in ways:
        if found := find():
            cache.link(means.cache, tool, found)
            result.ready[tool.name] = how
            return True
    return False


def _download(tool: Tool, means: Means, result: Acquired) -> str:
    """Empty when the tool was downloaded, else why not."""
    if not tool.url:
        return "its project publishes no executable"
    if means.downloads.closed:
        return means.downloads.closed
    means.say(f"{tool.name} {tool.version}: not here yet, trying the official download")
    try:
        with cache.workspace(means.cache) as work:
            _keep(tool, means.downloads.fetch(tool, work), means, result, "downloaded")
    except (DownloadFailed, OSError, KeyError, ValueError, tarfile.TarError) as error:
        means.say(f"{tool.name} {tool.version}: {error}")
        return str(error)
    return ""


def _build(tools: Sequence[Tool], means: Means, result: Acquired, reasons: dict[str, str]) -> None:
    names = ", ".join(tool.name for tool in tools)
    if means.go is None:
        result.problems |= {tool.name: f"not on PATH at a fitting version; {reasons[tool.name]}; {HAVE_GO}" for tool in tools}
        return
    means.say(
        f"building {names} {tools[0].version} from source, as there is no download; about {tools[0].minutes:g} min on two cores "
        "with an empty Go build cache, less otherwise"
    )
    try:
        with cache.workspace(means.cache) as work:
            built = build.build(means.go, tools, work, means.say)
            for tool in tools:
                _keep(tool, built[tool.name], means, result, "built")
    except (build.BuildFailed, OSError) as error:
        result.problems |= {tool.name: str(error) for tool in tools if tool.name not in result.ready}


def _keep(tool: Tool, executable: Path, means: Means, result: Acquired, how: str) -> None:
    cache.link(means.cache, tool, cache.keep(means.cache, tool, executable))
    result.ready[tool.name] = how
