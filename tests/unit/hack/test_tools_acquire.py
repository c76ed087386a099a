"""Which way to a tool is taken, and what is said when none is left. Downloads come from a server on loopback, Go is a shell script."""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import io
import re
import stat
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hack.tools import acquire, build, cache, fitting, pins
from hack.tools.download import Downloads

FAKE_GO = """#!/bin/sh
# Stands in for `go build ... -o OUT PACKAGE...`: makes executables that print their build.
echo "$PWD $*" >>"{calls}"
while [ "$1" != -o ]; do shift; done
out=$2; shift 2
sleep {seconds}
[ -z "{error}" ] || {{ echo "{error}"; exit 1; }}
for package; do
  place=$out; [ -d "$out" ] && place=$out/${{package##*/}}
  printf '#!/bin/sh\\necho built\\n' >"$place"; chmod +x "$place"
done
"""


@dataclass
class Site:
    """A release site: path to content. `asked` lists the paths that were requested."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            content = site.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Machine:
    """A machine with nothing on it but what a test puts there."""

    folder: Path
    said: list[str] = field(default_factory=list)
    go: str | None = None
    downloads: Downloads = field(default_factory=lambda: Downloads("the network is closed"))

    def __post_init__(self) -> None:
        (self.folder / "path").mkdir()

    @property
    def means(self) -> acquire.Means:
        return acquire.Means(self.folder / "cache", str(self.folder / "path"), self.downloads, self.go, self.said.append)

    @property
    def bin(self) -> Path:
        return self.folder / "cache" / "bin"

    def put(self, name: str, output: str) -> Path:
        """An executable on PATH that prints the output."""
        path = self.folder / "path" / name
        path.write_text(f"#!/bin/sh\necho '{output}'\n")
        path.chmod(0o755)
        return path

    def with_go(self, *, seconds: float = 0, error: str = "") -> Path:
        """Returns the file that lists the calls."""
        calls, path = self.folder / "calls", self.folder / "go"
        path.write_text(FAKE_GO.format(calls=calls, seconds=seconds, error=error))
        path.chmod(0o755)
        self.go = str(path)
        return calls


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


KIND, ETCD, KUBECTL = pins.TOOLS["kind"], pins.TOOLS["etcd"], pins.TOOLS["kubectl"]


def published(site: Site, tool: pins.Tool, content: bytes) -> pins.Tool:
    """The tool as if its project published it on the site, checksum included."""
    site.files |= {"/tool": content, "/tool.sha256": f"{hashlib.sha256(content).hexdigest()}  bin/tool\n".encode()}
    return replace(tool, url=f"{site.url}/tool", checksum_url=f"{site.url}/tool.sha256", member="")


def test_a_fitting_tool_on_path_is_used(machine: Machine) -> None:
    """What the user has installed at a fitting version is linked, and nothing is fetched or built."""
    installed = machine.put("kind", "kind version 0.33.1")

    result = acquire.acquire([KIND], machine.means)

    assert {"kind": "PATH"} == result.ready
    assert installed == (machine.bin / "kind").resolve()
    assert [] == machine.said


@pytest.mark.parametrize("output", ["kind version 0.29.0", "kind version 0.34.0", "kind version 1.30.0", "kind, the artist", ""])
def test_a_tool_on_path_that_does_not_fit_is_passed_over(machine: Machine, output: str) -> None:
    """Too old, too new, or not saying what the real one says: the name proves nothing."""
    machine.put("kind", output)
    machine.with_go()

    assert {"kind": "built"} == acquire.acquire([KIND], machine.means).ready


@pytest.mark.parametrize(
    ("version", "fits"),
    [("v1.32.4-dispatcher", False), ("v1.33.0", True), ("v1.34.9", True), ("v1.35.2-eks-1", True), ("v1.36.0", False)],
)
def test_kubectl_may_be_one_minor_version_off(machine: Machine, version: str, fits: bool) -> None:
    """Kubernetes supports one minor version of skew; vendors' suffixes do not matter."""
    found = machine.put("kubectl", f'{{"clientVersion": {{"minor": "32+", "gitVersion": "{version}"}}}}')

    assert fits == fitting.fits(KUBECTL, found)


def test_a_tool_that_hangs_or_cannot_run_does_not_fit(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe has a deadline; a file of another machine type is no tool."""
    monkeypatch.setattr(fitting, "PROBE_SECONDS", 0.05)
    hanging = machine.put("kind", "kind version 0.30.0'; sleep 5; echo '")
    foreign = machine.folder / "path" / "etcd"
    foreign.write_bytes(b"\x7fELF nonsense")
    foreign.chmod(0o755)

    assert not fitting.fits(KIND, hanging)
    assert not fitting.fits(ETCD, foreign)


def test_a_download_is_checked_kept_and_used_again(machine: Machine, site: Site) -> None:
    """The first run downloads; the second one sends no request."""
    machine.downloads = Downloads()
    tool = published(site, KIND, b"#!/bin/sh\n")

    first, asked = acquire.acquire([tool], machine.means), list(site.asked)
    second = acquire.acquire([tool], machine.means)

    assert ({"kind": "downloaded"}, {"kind": "cache"}) == (first.ready, second.ready)
    assert ["/tool.sha256", "/tool"] == asked == site.asked
    assert (machine.bin / "kind").stat().st_mode & stat.S_IXUSR


def test_an_archive_is_unpacked(machine: Machine, site: Site) -> None:
    """Only the one file that is wanted leaves the archive."""
    machine.downloads = Downloads()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("etcd-v3/etcd")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"etcd"))
    tool = replace(published(site, ETCD, packed.getvalue()), member="etcd-v3/etcd")

    acquire.acquire([tool], machine.means)

    assert b"etcd" == (machine.bin / "etcd").read_bytes()


def test_a_download_with_a_wrong_checksum_is_never_used(machine: Machine, site: Site) -> None:
    """What does not match its published checksum is thrown away, and the reason names both."""
    machine.downloads = Downloads()
    tool = published(site, KIND, b"good")
    site.files["/tool"] = b"evil"

    result = acquire.acquire([tool], machine.means)

    assert {} == result.ready
    assert "publishes" in result.problems["kind"]
    assert [] == [path for path in (machine.folder / "cache").rglob("*") if path.is_file() and path.name != ".lock"]


def test_a_tool_that_its_site_does_not_have_does_not_close_the_network(machine: Machine, site: Site) -> None:
    """A missing file concerns one tool: the others are still downloaded."""
    machine.downloads = Downloads()
    machine.with_go()
    gone = replace(ETCD, url=f"{site.url}/gone", checksum_url=f"{site.url}/gone.sha256")

    result = acquire.acquire([gone, published(site, KIND, b"kind")], machine.means)

    assert {"etcd": "built", "kind": "downloaded"} == result.ready


def test_a_closed_network_is_found_out_once(machine: Machine) -> None:
    """The first server that cannot be reached ends all tries of the run; each further tool goes straight to the next way."""
    machine.downloads = Downloads()
    machine.with_go()
    unreachable = "http://127.0.0.1:1"
    tools = [replace(tool, url=f"{unreachable}/x", checksum_url=f"{unreachable}/y") for tool in (KIND, ETCD)]

    result = acquire.acquire(tools, machine.means)

    assert {"kind": "built", "etcd": "built"} == result.ready
    assert ["kind v0.30.0: not here yet, trying the official download"] == [line for line in machine.said if "trying" in line]
    assert "127.0.0.1:1" in machine.downloads.closed


def test_one_build_makes_all_that_is_missing_of_a_family(machine: Machine) -> None:
    """Tools of one Go module share one `go build`, in the folder that pins it, with the flags that the build cache knows."""
    calls = machine.with_go()

    result = acquire.acquire([pins.TOOLS[name] for name in ("kubectl", "kube-apiserver", "etcd")], machine.means)

    assert {"kubectl": "built", "kube-apiserver": "built", "etcd": "built"} == result.ready
    kubernetes, etcd = calls.read_text().splitlines()
    assert kubernetes.startswith(str(build.MODULES / "kubernetes"))
    assert kubernetes.endswith("k8s.io/kubernetes/cmd/kubectl k8s.io/kubernetes/cmd/kube-apiserver")
    assert "build -mod=readonly -trimpath -ldflags -s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 " in kubernetes
    assert etcd.startswith(str(build.MODULES / "etcd"))
    assert any("building kubectl, kube-apiserver v1.34.4 from source" in line and "min" in line for line in machine.said)


def test_a_long_build_shows_that_it_lives(machine: Machine, tmp_path: Path) -> None:
    """While `go build` runs, a line with the elapsed time appears again and again."""
    machine.with_go(seconds=0.3)
    assert machine.go

    build.build(machine.go, [KIND], tmp_path, machine.said.append, tick=0.05)

    assert 2 <= len([line for line in machine.said if re.search(r"still building kind: 0:00", line)])


def test_a_build_that_fails_says_what_go_said(machine: Machine) -> None:
    """The end of Go's output is part of the message, and nothing half-made is kept."""
    machine.with_go(error="missing go.sum entry")

    result = acquire.acquire([KIND], machine.means)

    assert "missing go.sum entry" in result.problems["kind"]
    assert [] == list((machine.folder / "cache").rglob("kind"))


def test_without_any_way_the_tool_and_the_cure_are_named(machine: Machine) -> None:
    """Not on PATH, no network, no Go: the message says all three, and what to install."""
    problems = acquire.acquire([KIND], machine.means).problems

    assert ["kind"] == list(problems)
    assert "not on PATH" in problems["kind"]
    assert "the network is closed" in problems["kind"]
    assert "install Go" in problems["kind"]


def test_a_tool_put_into_the_tools_folder_is_taken_as_it_is(machine: Machine) -> None:
    """CAPKIND_TOOLS_DIR is the user's word: its executables are not questioned."""
    (machine.folder / "cache").mkdir()
    given = machine.folder / "cache" / "kind"
    given.write_text("mine")

    assert {"kind": "given"} == acquire.acquire([KIND], machine.means).ready
    assert "mine" == (machine.bin / "kind").read_text()


def test_what_was_linked_from_path_stays_while_it_fits(machine: Machine) -> None:
    """A tool found on PATH once is still used by a shell with another PATH, instead of being built."""
    installed = machine.put("kind", "kind version 0.31.0").rename(machine.folder / "elsewhere-kind")
    cache.link(machine.folder / "cache", KIND, installed)

    assert {"kind": "linked before"} == acquire.acquire([KIND], machine.means).ready


def test_a_second_run_waits_for_the_first(machine: Machine) -> None:
    """Two runs at once do the work once: the second one waits, says so, and finds everything in the cache."""
    machine.with_go()
    folder = machine.folder / "cache"
    folder.mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waits = threading.Event()

        def said(line: str) -> None:
            machine.said.append(line)
            waits.set()

        second = threading.Thread(target=acquire.acquire, args=([KIND], replace(machine.means, say=said)))
        second.start()
        assert waits.wait(5)
        place = cache.stored(folder, KIND)
        place.parent.mkdir(parents=True)
        place.write_text("made by the first run")
    second.join(5)

    assert ["waiting for another run that gets tools"] == machine.said
    assert "made by the first run" == (machine.bin / "kind").read_text()


def test_remains_of_a_killed_run_are_swept(machine: Machine) -> None:
    """Half a download is removed by the next run that has the lock."""
    left = machine.folder / "cache" / ".work-abc"
    left.mkdir(parents=True)
    machine.with_go()

    acquire.acquire([KIND], machine.means)

    assert not left.exists()
