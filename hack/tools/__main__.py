"""The command line of hack.tools. Exit code 0: all asked for is there; 3: some tool cannot be had on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hack.tools import acquire, cache, components
from hack.tools.pins import TOOLS, in_sets

UNAVAILABLE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m hack.tools", description="Get the tools that development needs.")
    parser.add_argument("--only", metavar="NAMES", help=f"some of: {','.join(TOOLS)}")
    parser.add_argument("--capi", action="store_true", help="also what tests with Cluster API itself need")
    parser.add_argument("--quiet", action="store_true", help="say nothing when all is there")
    parser.add_argument("--print-bin", action="store_true", help="print the folder of the tools and get nothing")
    options = parser.parse_args(arguments)
    if options.print_bin:
        print(cache.bin_folder())
        return 0
    wanted = in_sets("basic", *(["capi"] if options.capi else []))
    names = options.only.split(",") if options.only else [tool.name for tool in wanted]
    if unknown := [name for name in names if name not in TOOLS]:
        parser.error(f"no such tool: {', '.join(unknown)}")
    means = acquire.Means.of_this_machine()
    result = acquire.acquire([TOOLS[name] for name in names], means)
    if options.capi and (problem := components.acquire(means)):
        result.problems["core-components.yaml"] = problem
    if result.problems:
        for name, problem in result.problems.items():
            print(f"tools: {name}: {problem}", file=sys.stderr)
        return UNAVAILABLE
    if not options.quiet:
        print(f"tools: {', '.join(f'{name} ({how})' for name, how in result.ready.items())}\ntools: in {cache.bin_folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
