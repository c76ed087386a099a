"""Gets the tools that development and the local runtime need: kubectl, etcd, the Kubernetes servers, kind, kwok.

    python3 -m hack.tools [--only kind,kubectl] [--quiet] [--print-bin]

For each tool, the first way that works: a fitting version on PATH; the cache; the project's official download, checked against its
published checksum; `go build` of the Go module pinned in a folder beside this file. Everything lands in one folder of the user's cache
($CAPKIND_TOOLS_DIR, else ~/.cache/cluster-api-provider-kind/tools), shared by all checkouts.

Standard library only: it may run before any virtual environment exists.
"""
