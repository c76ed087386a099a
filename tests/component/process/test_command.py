"""Starting processes: ends, deadlines, cancellation, and what is left behind (nothing)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provider.adapters.process import strays
from provider.adapters.process.command import (
    Command,
    CommandFailed,
    CommandMissing,
    CommandTimeout,
    Job,
    redact,
    run_command,
    run_fed,
    run_long_command,
    stream_lines,
)
from provider.adapters.process.output import MAX_TAIL

PYTHON = [sys.executable, "-IS", "-c"]
ENV = {"PATH": os.defpath}


def command(code: str, *, timeout: float = 10.0, **more: object) -> Command:
    return Command(argv=[*PYTHON, code], env=ENV, timeout=timeout, **more)  # type: ignore[arg-type]


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


async def test_output_streams_are_kept_apart() -> None:
    """stdout is data, stderr is for people."""
    done = await run_command(command("import sys; print('out'); print('err', file=sys.stderr)"))

    assert ("out\n", "err\n", 0) == (done.stdout, done.stderr, done.returncode)


async def test_input_is_given_whole() -> None:
    """More than a pipe holds, and the program may read it whenever it likes."""
    done = await run_command(command("import sys; print(len(sys.stdin.read()))", stdin="x" * 300_000))

    assert "300000\n" == done.stdout


async def test_the_environment_is_what_was_handed_in() -> None:
    """Nothing of this process's environment leaks; the locale is always the same."""
    done = await run_command(command("import os; print(sorted(os.environ))"))

    assert {"PATH", "LC_ALL"} == set(eval(done.stdout)) - {"LC_CTYPE"}  # noqa: S307


async def test_a_bad_exit_code_is_an_error_with_the_last_line() -> None:
    """Checked by default; the message names the command without its many arguments."""
    with pytest.raises(CommandFailed) as caught:
        await run_command(command("import sys; sys.exit('nope')"))
    assert "failed (exit code 1): nope" in caught.value.message
    assert 3 == (await run_command(command("raise SystemExit(3)"), check=False)).returncode


async def test_a_missing_program_is_named() -> None:
    """Looked up in the PATH that was handed in, not in ours."""
    with pytest.raises(CommandMissing) as caught:
        await run_command(Command(argv=["no-such-program"], env=ENV, timeout=1))
    assert "no-such-program is not on PATH" in caught.value.message


async def test_too_much_output_is_an_error() -> None:
    """Half a JSON document is worse than none."""
    with pytest.raises(CommandFailed):
        await run_command(command("print('x' * 2000)", max_output=1000))


@pytest.mark.fault(19, "a program and its children never end", invariants="I14")
async def test_a_deadline_kills_the_whole_group(tmp_path: Path) -> None:
    """Also children that ignore SIGTERM."""
    mark = tmp_path / "child"
    code = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    open({str(mark)!r}, "w").write(str(os.getpid()))
time.sleep(60)
"""
    with pytest.raises(CommandTimeout):
        await run_command(command(code, timeout=0.5, grace=0.2))
    await until(lambda: strays.start_time(int(mark.read_text())) is None)


async def test_cancelling_kills_what_was_started(tmp_path: Path) -> None:
    """The awaiting task dies only after its process did."""
    mark = tmp_path / "pid"
    code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(run_command(command(code)))
    await until(lambda: mark.exists() and mark.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert None is strays.start_time(int(mark.read_text()))


@pytest.mark.parametrize("turns", range(1, 9))
async def test_cancelling_again_and_again_while_it_starts_leaves_nothing(turns: int) -> None:
    """A second cancellation comes when the manager ends while a pass is being cancelled."""
    before = children()
    running = asyncio.create_task(run_command(command("import time; time.sleep(60)", timeout=60.0)))
    for _ in range(turns):
        await asyncio.sleep(0)
    while not running.done():
        running.cancel()
        await asyncio.sleep(0)

    assert running.cancelled()
    assert children() == before


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
def test_a_loop_that_closes_while_a_program_is_ended_leaves_nothing(tmp_path: Path, turns: int) -> None:
    """It cancels every task, also the one that ends the program; the program does not mind SIGTERM."""
    started = tmp_path / "started"
    code = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(started)!r}, 'w'); time.sleep(60)"

    async def leave() -> None:
        running = asyncio.create_task(run_command(command(code, timeout=60.0)))
        await until(started.exists)
        running.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)

    before = children()
    asyncio.run(leave())
    assert children() == before


def children() -> set[str]:
    """Processes of ours that nobody has waited for yet."""
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


async def test_a_grandchild_that_holds_the_pipe_does_not_hold_us() -> None:
    """The program has ended; whoever inherited its output is not waited for."""
    done = await asyncio.wait_for(
        run_command(command("import os, time; print('done', flush=True); os.fork() == 0 and time.sleep(3)")), timeout=2.5
    )

    assert "done\n" == done.stdout


async def test_lines_of_a_job_are_told_as_they_come() -> None:
    """Progress is read from standard error; of a flood only the end is kept."""
    lines: list[str] = []
    code = "import sys\nfor i in range(20000): print('line', i, file=sys.stderr)\nprint('no end', end='', file=sys.stderr)"
    done = await run_long_command(command(code), Job(on_line=lines.append))

    assert ["line 0", "line 1"] == lines[:2]
    assert "no end" == lines[-1]
    assert 20001 == len(lines)
    assert MAX_TAIL == len(done.stderr)


async def test_a_job_carries_its_name_and_descriptors() -> None:
    """By the name leftovers are found, by the descriptor a lock outlives us."""
    read, write = os.pipe()
    code = f"import os; os.write({write}, b'inherited'); print(os.environ['CAPKIND_JOB'])"
    done = await run_long_command(command(code), Job(on_line=lambda _: None, name="demo/abc", pass_fds=(write,)))

    assert "demo/abc\n" == done.stdout
    assert b"inherited" == os.read(read, 100)
    os.close(read)
    os.close(write)


async def test_a_job_leaves_no_child_behind(tmp_path: Path) -> None:
    """When its program ends, children of it are killed; except, for a while, those that may finish."""
    child = "import sys, time; time.sleep(float(sys.argv[1])); open(sys.argv[2], 'w')"
    code = f"""
import os, sys
for seconds, name in (("0.3", "finish"), ("3", "kill")):
    if os.fork() == 0:
        [os.dup2(os.open(os.devnull, os.O_RDWR), fd) for fd in (1, 2)]
        os.execv(sys.executable, [sys.executable, "-ISc", {child!r}, seconds, {str(tmp_path)!r} + "/" + name])
"""
    interrupted: list[str] = []
    job = Job(
        on_line=lambda _: None,
        must_finish=lambda argv: argv[-1].endswith("finish"),
        finish_timeout=5.0,
        on_interrupted=lambda: interrupted.append("killed"),
    )
    await run_long_command(command(code), job)

    assert (tmp_path / "finish").exists()
    assert not (tmp_path / "kill").exists()
    assert [] == interrupted


@pytest.mark.fault(4, "the manager is killed in the middle of a job", invariants="I14")
async def test_a_job_dies_with_its_manager(tmp_path: Path) -> None:
    """SIGKILL gives nobody a chance to clean up: the kernel does it."""
    mark = tmp_path / "pid"
    job = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    manager = f"""
import asyncio
from provider.adapters.process.command import *
asyncio.run(run_long_command(Command(argv={[*PYTHON, job]!r}, env={ENV!r}, timeout=60), Job(on_line=print)))
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", manager, cwd=Path(__file__).parents[3])
    await until(lambda: mark.exists() and mark.read_text())
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await until(lambda: strays.start_time(int(mark.read_text())) is None)


async def test_a_program_that_even_the_kernel_cannot_end_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits for a file system that hangs. Played by signals that do not arrive."""
    monkeypatch.setattr(strays, "DEATH", 0.2)
    start, started = asyncio.create_subprocess_exec, list[asyncio.subprocess.Process]()

    async def remembered(*argv: str, **options: Any) -> asyncio.subprocess.Process:
        started.append(await start(*argv, **options))
        return started[0]

    with monkeypatch.context() as deaf:
        deaf.setattr(asyncio, "create_subprocess_exec", remembered)
        deaf.setattr(os, "killpg", lambda *_: None)
        async with asyncio.timeout(10):
            with pytest.raises(CommandTimeout):
                await run_command(command("import time; time.sleep(60)", timeout=0.2))
    started[0].kill()
    await started[0].wait()


async def test_a_stream_ends_with_its_reader(tmp_path: Path) -> None:
    """Closing the iterator kills the program."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    lines = stream_lines(command(code))
    pid = int(await anext(lines))
    await lines.aclose()

    assert None is strays.start_time(pid)


async def test_one_programs_output_is_anothers_input() -> None:
    """More than a pipe holds, with nothing of it in this process."""
    source = command("import sys; sys.stdout.write('x' * 3_000_000)")

    done = await run_fed(command("import sys; print(len(sys.stdin.read()))"), source)

    assert "3000000\n" == done.stdout


async def test_a_file_is_a_programs_input(tmp_path: Path) -> None:
    """Without a copy."""
    (tmp_path / "file").write_text("abc")

    assert "abc" == (await run_fed(command("import sys; print(sys.stdin.read(), end='')"), tmp_path / "file")).stdout
    with pytest.raises(FileNotFoundError):
        await run_fed(command("pass"), tmp_path / "none")


@pytest.mark.parametrize(
    ("source", "sink", "says"),
    [
        ("import sys; sys.exit('nothing to give')", "import sys; sys.stdin.read(); sys.exit('nothing came')", "nothing to give"),
        ("print('x')", "import sys; sys.exit('no room')", "no room"),
        ("import sys\nwhile True: sys.stdout.write('x' * 9999)", "import sys; sys.exit('no room')", "no room"),
    ],
)
async def test_whichever_end_fails_is_told(source: str, sink: str, says: str) -> None:
    """The source's reason explains the sink's; a source that nobody reads on has none of its own."""
    with pytest.raises(CommandFailed) as raised:
        await run_fed(command(sink), command(f"import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n{source}"))

    assert says in raised.value.tail


async def test_a_source_that_is_not_there_ends_the_sink() -> None:
    """It sees the end of its input at once, and not at its deadline."""
    with pytest.raises(CommandMissing):
        await run_fed(command("import sys; sys.stdin.read()"), Command(argv=["no-such-program"], env=ENV, timeout=5.0))


async def test_both_ends_die_when_nobody_waits_any_more(tmp_path: Path) -> None:
    """Whichever is at work."""
    write = "import os, pathlib, time; pathlib.Path({!r}).write_text(str(os.getpid())); time.sleep(60)"
    paths = [tmp_path / "source", tmp_path / "sink"]
    task = asyncio.create_task(run_fed(command(write.format(str(paths[1]))), command(write.format(str(paths[0])))))
    await until(lambda: all(path.exists() and path.read_text() for path in paths))

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [None, None] == [strays.start_time(int(path.read_text())) for path in paths]


async def test_a_stream_that_ends_by_itself_is_an_error() -> None:
    """What is endless has no good end; the reason is in the tail."""
    lines = stream_lines(command("import sys; print('one'); sys.exit('gone')"))

    assert "one" == await anext(lines)
    with pytest.raises(CommandFailed) as caught:
        await anext(lines)
    assert "gone" in caught.value.tail


@pytest.mark.fault(42, "a URL with a password in a command line", invariants="I11")
def test_credentials_of_urls_are_not_shown() -> None:
    """A proxy's password may be in an argument; it never gets into a message."""
    assert "http://***@proxy:1/x" == redact("http://user:pass@proxy:1/x")
