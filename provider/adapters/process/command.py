"""The only place that starts processes. What lives here: running a program to its end, or for as long as its output is wanted.

Every program is an argument list (no shell), gets the environment it is handed and nothing else, runs in a session of its own and is
killed with everything it started when its deadline passes or the awaiting task is cancelled. Nothing here knows what docker or kind
are; who owns what, and what an exit code means, is the caller's business.

Long-running children die with this process (launcher.py) and may inherit file descriptors, so that a lock taken for them is held for
as long as any of their own children lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from provider.adapters import oserrors
from provider.adapters.process import output, strays
from provider.adapters.process.output import Head, Lines, OnLine, Tail
from provider.adapters.process.shielded import finish
from provider.api.conditions import Reason
from provider.errors import Transient

LAUNCHER = Path(__file__).with_name("launcher.py")
LOCALE = "C.UTF-8"
MAX_OUTPUT = 1 << 20
"""Bytes of standard output kept of a short command; more is an error, because half an answer is worse than none."""
GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
_sessions: set[int] = set()
"""Process groups of the programs that run now (each leads its own)."""
LEFTOVER_OUTPUT = 1.0
"""Seconds to wait for the end of the output once the program has ended: a grandchild may hold the pipe open."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended by itself."""

    argv: tuple[str, ...]
    returncode: int
    output: bytes
    """Standard output (of a job: its end)."""
    stderr: str
    """The end of it."""

    @property
    def stdout(self) -> str:
        return self.output.decode(errors="replace")

    def failure(self) -> CommandFailed:
        """The error for an exit code other than 0, with the last line that the program said."""
        last = self.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        message = f"{_short(self.argv)} failed (exit code {self.returncode}): {last[0][:500]}"
        return CommandFailed(Reason.COMMAND_FAILED, redact(message), tail=self.stderr)


class RunError(Transient):
    """A program did not succeed. `tail` is the end of its output, for programs that look for a reason in it, not for messages."""

    def __init__(self, reason: Reason, message: str, *, tail: str = "") -> None:
        super().__init__(reason, message)
        self.tail = tail


class CommandMissing(RunError):
    """There is no such program on the PATH that was handed in, or it may not be run."""


class CommandTimeout(RunError):
    """The deadline passed; the program and all it started were killed."""


class CommandFailed(RunError):
    """The program ended with an exit code other than 0, or its output was longer than allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program to run. `env` is the whole environment but LC_ALL; argv[0] is looked up in its PATH."""

    argv: Sequence[str]
    env: Mapping[str, str]
    timeout: float
    """Seconds."""
    stdin: str = ""
    max_output: int = MAX_OUTPUT
    grace: float = GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a long command has on top: it dies with this process, and its own children may outlive it for a moment."""

    on_line: OnLine
    """Called with every line of standard error as it comes, without its end, cut at 16 KiB."""
    name: str = ""
    """Value of CAPKIND_JOB in the environment, by which the remains of a killed manager are found (strays.py)."""
    pass_fds: tuple[int, ...] = ()
    must_finish: strays.MustFinish = field(default=lambda _: False)
    finish_timeout: float = 0.0
    """Seconds that these processes get after the program ended or was killed; then they are killed too."""
    on_interrupted: Callable[[], None] = lambda: None
    """Called if one of them had to be killed."""


async def run_command(command: Command, *, check: bool = True) -> Completed:
    """Run a short command. Raises CommandMissing, CommandTimeout, and (with `check`) CommandFailed for an exit code other than 0."""
    out, err = Head(command.max_output), Tail()
    completed = await _execute(command, _locate(command), out, err, None)
    if out.overflowed:
        raise CommandFailed(Reason.COMMAND_FAILED, f"{_short(command.argv)} said more than {command.max_output} bytes.")
    if check and completed.returncode != 0:
        raise completed.failure()
    return completed


async def run_for_tail(command: Command) -> Completed:
    """Run a short command that may say more than anybody wants: the last `max_output` bytes are kept; its exit code is not judged."""
    return await _execute(command, _locate(command), Tail(command.max_output), Tail(), None)


async def run_fed(command: Command, source: Command | Path) -> Completed:
    """Run a command on what another one prints, or on a file. The bytes go from one to the other and touch neither memory nor disk.

    Raises OSError for a file that cannot be opened, CommandFailed for an exit code other than 0 of either: the source's, unless it
    only says that nobody read on.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            done = await _end_of_pipe(command, stdin=file)
    else:
        with output.pipe() as (read, write):
            pair = [
                asyncio.create_task(_end_of_pipe(source, stdout=write)),
                asyncio.create_task(_end_of_pipe(command, stdin=read)),
            ]
            try:
                await asyncio.wait(pair)
            finally:
                for end in pair:
                    end.cancel()
                await asyncio.gather(*pair, return_exceptions=True)
        fed, done = (end.result() for end in pair)
        if fed.returncode not in (0, -signal.SIGPIPE) and "broken pipe" not in fed.stderr:
            raise fed.failure()
    if done.returncode != 0:
        raise done.failure()
    return done


async def run_telling(command: Command, on_line: OnLine) -> Completed:
    """Run a command that tells how far it is: each line of both outputs as it comes. Only their ends are kept; no exit code is judged."""
    return await _execute(command, _locate(command), Lines(on_line), Lines(on_line), None)


async def run_long_command(command: Command, job: Job) -> Completed:
    """Run a long command; its exit code is not judged. Of both outputs only the end is kept."""
    argv = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *_locate(command)]
    return await _execute(command, argv, Tail(), Lines(job.on_line), job)


async def run_making(command: Command, job: Job) -> Completed:
    """Run a short command that makes something; its exit code is not judged. It goes on to its end when this process dies, with the file
    descriptors that it inherited: who takes over finds it by the job's name, and waits for it.
    """
    return await _execute(command, _locate(command), Tail(), Lines(job.on_line), job)


async def stream_lines(command: Command) -> AsyncGenerator[str, None]:
    """Lines of standard output for as long as the program runs (`timeout` is not looked at). Closing the iterator kills it.

    Raises CommandFailed when the program ends, whatever its exit code: the stream is meant to be endless.
    """
    argv = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *_locate(command)]
    err = Tail()
    async with _started(argv, command, None) as running:
        listener = asyncio.create_task(output.drain(running.stderr, err))
        try:
            while line := await output.next_line(running.stdout):
                yield line.decode(errors="replace").rstrip("\r\n")
        finally:
            listener.cancel()
    raise CommandFailed(Reason.COMMAND_FAILED, f"{_short(command.argv)} ended.", tail=err.text())


def redact(text: str) -> str:
    """Without credentials of URLs; nothing secret is ever an argument, but a proxy's address may end up in one."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", text)


# --- running -------------------------------------------------------------------------------------------------------------------


async def _end_of_pipe(command: Command, *, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None) -> Completed:
    """One of two programs. Our own ends are closed in any case: the other program must see that this one is gone."""
    try:
        return await _execute(command, _locate(command), Tail(), Tail(), None, Ends(stdin, stdout))
    finally:
        for end in (stdin, stdout):
            if end is not None:
                end.close()


async def _execute(
    command: Command, argv: Sequence[str], out: Tail | Head, err: Tail, job: Job | None, ends: Ends | None = None
) -> Completed:
    async with _started(argv, command, job, ends) as running:
        readers = [asyncio.create_task(output.drain(running.stdout, out)), asyncio.create_task(output.drain(running.stderr, err))]
        try:
            async with asyncio.timeout(command.timeout):
                returncode = await running.process.wait()
            await asyncio.wait(readers, timeout=LEFTOVER_OUTPUT)
        except TimeoutError:
            message = f"{_short(command.argv)} did not end within {command.timeout:.0f} s."
            raise CommandTimeout(Reason.COMMAND_TIMEOUT, message, tail=err.text()) from None
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
    return Completed(tuple(command.argv), returncode, out.data(), err.text())


def _short(argv: Sequence[str]) -> str:
    """The command for people: program and verb, without its many arguments."""
    words = [Path(argv[0]).name, *argv[1:3]]
    return redact(" ".join(word for word in words if not word.startswith("-")))


def _locate(command: Command) -> list[str]:
    program = shutil.which(command.argv[0], path=command.env.get("PATH", os.defpath))
    if program is None:
        raise CommandMissing(Reason.COMMAND_MISSING, f"{command.argv[0]} is not on PATH (or not executable).")
    return [program, *command.argv[1:]]


@dataclass(frozen=True, slots=True)
class _Running:
    process: asyncio.subprocess.Process
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader


@dataclass(frozen=True, slots=True)
class Ends:
    """Files that a program gets instead of pipes to this process. Closed here as soon as it has them."""

    stdin: BinaryIO | None = None
    stdout: BinaryIO | None = None

    def close(self) -> None:
        for end in (self.stdin, self.stdout):
            if end is not None:
                end.close()


@contextlib.asynccontextmanager
async def _started(argv: Sequence[str], command: Command, job: Job | None, ends: Ends | None = None) -> AsyncIterator[_Running]:
    """`_start`; a host that has no file descriptor, memory or disk left for it is told as such (Transient)."""
    with oserrors.translated():
        async with _start(argv, command, job, ends or Ends()) as running:
            yield running


@contextlib.asynccontextmanager
async def _start(argv: Sequence[str], command: Command, job: Job | None, ends: Ends) -> AsyncIterator[_Running]:
    """A started program and its output. Leaving the `async with` kills whatever is left of its session."""
    # Pipes of our own instead of asyncio's, whose Process.wait() also waits for the end of the pipes: a grandchild that
    # inherited them would keep us waiting after the program has ended.
    with output.stdin_file(command.stdin) as source, output.pipe() as (out, out_end), output.pipe() as (err, err_end):
        environment = dict(command.env) | {"LC_ALL": LOCALE} | ({strays.VARIABLE: job.name} if job and job.name else {})
        try:
            process = await _born(
                asyncio.create_subprocess_exec(
                    *argv,
                    stdin=ends.stdin or source,
                    stdout=ends.stdout or out_end,
                    stderr=err_end,
                    env=environment,
                    start_new_session=True,
                    close_fds=True,
                    pass_fds=job.pass_fds if job else (),
                )
            )
        except OSError as error:
            oserrors.raise_lack(error)
            message = f"{_short(command.argv)} could not be started: {error.strerror}."
            raise CommandMissing(Reason.COMMAND_MISSING, message) from error
        _sessions.add(process.pid)
        try:
            out_end.close()
            err_end.close()
            ends.close()
            async with output.reader(out) as stdout, output.reader(err) as stderr:
                yield _Running(process, stdout, stderr)
        finally:
            try:
                await finish(_end(process, command.grace, job))
            finally:
                if process.returncode is None:
                    await _kill(process, job)
                _sessions.discard(process.pid)


async def _born(starting: Awaitable[asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """A process that is being started; one that nobody wants any more when it has started is killed.

    asyncio kills a process whose start is cancelled, too, but leaves it to itself when the cancellation comes twice (CPython,
    base_subprocess.py: nothing shields its wait).
    """
    task = asyncio.ensure_future(starting)
    try:
        return await finish(task)
    except asyncio.CancelledError:
        if not task.cancelled() and task.exception() is None:
            task.result().kill()
            await finish(task.result().wait())
        raise


def kill_all() -> None:
    """SIGKILL for every program that runs, with its group. For a process that ends at once; may be called from any thread."""
    for group in tuple(_sessions):
        _signal_group(group, signal.SIGKILL)


async def _end(process: asyncio.subprocess.Process, grace: float, job: Job | None) -> None:
    """Leave nothing of the session behind."""
    if job is None:
        if process.returncode is None:
            await _stop(process, grace)
        return
    session = process.pid
    if process.returncode is None:
        process.kill()  # before its children: it would start the next command when one of them is killed
        await process.wait()
    finished = False
    try:
        finished = await strays.end(lambda: strays.of_session(session), job.must_finish, job.finish_timeout)
    finally:
        if not finished:  # also where it cannot be told what is left
            job.on_interrupted()


async def _kill(process: asyncio.subprocess.Process, job: Job | None) -> None:
    """A loop that closes cancels every task, also the one that ends a program, perhaps before it has begun to."""
    if job is not None:
        job.on_interrupted()
    _signal_group(process.pid, signal.SIGKILL)
    await _gone(process)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """After SIGKILL: one in an uninterruptible wait of the kernel (a file system that hangs) may never end, and we go on without it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(strays.DEATH):
            await process.wait()


async def _stop(process: asyncio.subprocess.Process, grace: float) -> None:
    _signal_group(process.pid, signal.SIGTERM)  # start_new_session made it the leader of its own group
    try:
        async with asyncio.timeout(grace):
            await process.wait()
    except TimeoutError:
        pass
    _signal_group(process.pid, signal.SIGKILL)  # also when it has ended: its children may have ignored SIGTERM
    await _gone(process)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
