"""A process that has imported everything heavy once, and forks `python ...` from itself when it is asked.

    python tests/fork_server.py DESCRIPTOR        serve the calls that arrive there until the other end closes

A forked process differs from a started one in what it does not do: load the interpreter and its modules. Arguments,
environment, folder, files, limits, signals, session, process id, parent, exit code and its lines in /proc are its own:
who calls becomes its parent, and waits for it as for any other process. Two forms of Python's command line are known:

    -m launch.cli ARGUMENTS...          a command; the ranks that it starts are forked from it
    -c CODE ARGUMENTS...                a worker that multiprocessing spawns, or a script of a test
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import itertools
import json
import multiprocessing.util
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from frozen_garbage import Frozen

ROOT = Path(__file__).resolve().parent.parent
MODULE = "launch.cli"
ROOM = 16384
"""Bytes for the command line and for the environment in /proc of a forked process."""
KERNELS = ("masking.kernels", "data_prep.kernels", "pretrain.feed.kernels")
HEAVY = (
    *KERNELS,
    *(f"pretrain.{name}" for name in ("trainer", "optimizer_state", "evaluation.heldout", "collating.collator")),
    "pretrain.exporting",
    *(f"pretrain.state.{name}" for name in ("companions", "model_card", "card_facts")),
    *(f"launch.{name}" for name in ("cli", "backends.local", "processes.dry_run", "outcomes.exporting")),
    "data_prep.preparing.pipeline",
    *("data_prep.segmenters.rjieba", "rjieba", "data_prep.annotating.word_spans", "data_prep.cleaning.letters"),
    *("pytest", "hypothesis"),  # workers import the test module whose functions they are sent
    "deepspeed.runtime.zero.muon.muon_optimizer",
    *("deepspeed.module_inject.auto_ep_layer", "deepspeed.utils.pin_memory"),
    *("transformers.activations", "transformers.models.auto.tokenization_auto"),
    *(f"transformers.models.{name}" for name in ("ernie.modeling_ernie", "bert.modeling_bert")),
    *("transformers.models.bert.tokenization_bert", "transformers.integrations.mistral"),
    *("torch.distributed.tensor", "torch.profiler._cupti_monitor"),
    *("pyarrow.ipc", "numpy.ma", "numpy.ctypeslib", "ruamel.yaml", "pydantic.type_adapter"),
)
"""What preparation, training, evaluation and export import sooner or later."""


SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of <linux/prctl.h>."""
HUGE, COLLAPSE = 2 << 20, 25
"""Bytes of a huge page, and MADV_COLLAPSE of <linux/mman.h>."""
LIMITS = (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)


class Call(NamedTuple):
    """A process to become, and what it inherits."""

    arguments: list[str]
    """What follows `python`."""
    environment: dict[str, str]
    folder: str
    session: bool
    """Does it lead a session of its own?"""
    group: int
    """Otherwise, the process group that it joins."""
    blocked: list[int]
    """Signals that it inherits as blocked,"""
    ignored: list[int]
    """and as ignored."""
    limits: list[tuple[int, int]]
    """Soft and hard, of LIMITS."""
    files: list[int]
    """The numbers that its files have in it: 0, 1, 2 and others that are passed."""
    parent: int

    @classmethod
    def here(
        cls,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: str | None = None,
        session: bool = False,
        group: int = -1,
        passed: Sequence[int] = (),
    ) -> Call:
        """A child of this process as it is now."""
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        return cls(
            arguments=list(arguments),
            environment=dict(environment),
            folder=folder or os.getcwd(),  # noqa: PTH109
            session=session,
            group=os.getpgrp() if group == -1 else group,
            blocked=[int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
            ignored=[int(number) for number, handler in handlers.items() if handler is signal.SIG_IGN],
            limits=[resource.getrlimit(limit) for limit in LIMITS],
            files=[0, 1, 2, *passed],
            parent=os.getpid(),
        )


class Asker:
    """The end of a server's connection at which calls are made."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.lock = threading.Lock()

    def answer(self) -> bytes:
        """The server's next message."""
        message = self.connection.recv(1 << 16)
        assert message, "the server of forked processes has ended"
        return message

    def fork(self, call: Call, descriptors: Sequence[int]) -> int:
        """A new child of this process, which must be the server's parent, that becomes ``call``."""
        adopt = ctypes.CDLL(None, use_errno=True).prctl
        with self.lock:
            assert adopt(SUBREAPER, 1, 0, 0, 0) == 0
            try:
                socket.send_fds(self.connection, [json.dumps(call._asdict()).encode()], list(descriptors))
                pid = int(self.answer())
                assert self.answer() == b"orphaned"
            finally:
                adopt(SUBREAPER, 0, 0, 0, 0)
        return pid


def main() -> None:
    """Import, then serve."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = str(ROOT)
    for name in HEAVY:
        importlib.import_module(name)
    del sys.modules[MODULE]  # what it imports stays; it runs anew as each command
    load_compiled()
    make_tables()
    keep_operators()
    gc.collect()
    gc.freeze()
    join_pages()
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    connection.send(str(threads).encode())
    serve(connection)


def serve(connection: socket.socket) -> None:
    """Fork what is asked for until the other end closes."""
    while True:
        message, descriptors, *_ = socket.recv_fds(connection, 1 << 18, 64)
        if not message:
            return
        call = Call(**json.loads(message))
        between = os.fork()
        if between == 0:
            me = os.getpid()
            child = os.fork()
            if child:
                connection.send(str(child).encode())
                os._exit(0)  # the caller is a subreaper: the child becomes its child
            while os.getppid() == me:
                time.sleep(0.0005)
            become(call, descriptors)
        os.waitpid(between, 0)
        connection.send(b"orphaned")
        for descriptor in descriptors:
            os.close(descriptor)


def server_of_this_process() -> Asker:
    """A server that is forked from this process while it has one thread yet and holds nothing."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            ours.close()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # it ends with its parent
                signal.signal(number, signal.SIG_IGN)
            show_in_proc([sys.executable, __file__], {})
            serve(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return Asker(ours)


def load_compiled() -> None:
    """Load the compiled loops that numba has in its cache."""
    from numba.core.dispatcher import Dispatcher

    for name in KERNELS:
        for loop in vars(sys.modules[name]).values():
            if isinstance(loop, Dispatcher):
                for signature, *_ in loop._cache._cache_file._load_index():
                    loop.compile(signature)


def make_tables() -> None:
    """Make the tables of all characters that every process makes when it first sees a text."""
    from data_prep.annotating.word_spans import _bearing
    from data_prep.cleaning.letters import _kind_bytes
    from data_prep.languages import languages
    from data_prep.segmenters.pretokenizer import inner_bytes

    for table in (_bearing, _kind_bytes, languages, inner_bytes):
        table()


def keep_operators() -> None:
    """A process does not take torch's operators apart one by one before it ends: it would write to all their pages."""
    import torch

    for finalizer, held in weakref.finalize._registry.items():  # type: ignore[attr-defined]
        if held.func is torch.library._del_library:
            finalizer.atexit = False


def join_pages() -> None:
    """Put the memory of this process into huge pages, where the system can: a fork copies the table of pages, and most
    of what a small command costs is that. Pages are still copied one by one when somebody writes."""
    advise = ctypes.CDLL(None).madvise
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, _, _, file, *name = line.split()
        if file == "0" and rights.startswith("rw") and name in ([], ["[heap]"]):
            start, end = (int(number, 16) for number in place.split("-"))
            start, end = -(-start // HUGE) * HUGE, end // HUGE * HUGE
            if end > start:
                advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), COLLAPSE)


def become(call: Call, descriptors: Sequence[int]) -> NoReturn:
    """Be `python ARGUMENTS` from here on."""
    try:
        inherit(call, descriptors)
        run = renew_interpreter(call)
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    os._exit(ended(exit_code(run)))


def inherit(call: Call, descriptors: Sequence[int]) -> None:
    """What a process has of the one that starts it."""
    assert os.getppid() == call.parent, f"the parent is {os.getppid()}, not {call.parent}"
    if call.session:
        os.setsid()
    else:
        os.setpgid(0, call.group)
    above = max([*call.files, *descriptors]) + 1
    kept = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, above) for descriptor in descriptors]
    for descriptor, number in zip(kept, call.files, strict=True):
        os.dup2(descriptor, number)
    ends = [*sorted(call.files), 4096]
    for low, high in itertools.pairwise(ends):
        os.closerange(low + 1, high)
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN if number in call.ignored else signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # as Python does when it starts
        signal.signal(number, signal.SIG_IGN)
    if signal.SIGINT not in call.ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    for limit, values in zip(LIMITS, call.limits, strict=True):
        resource.setrlimit(limit, (values[0], values[1]))
    os.chdir(call.folder)
    os.environ.clear()
    os.environ.update(call.environment)
    show_in_proc([sys.executable, *call.arguments], call.environment)
    signal.pthread_sigmask(signal.SIG_SETMASK, call.blocked)


def renew_interpreter(call: Call) -> Callable[[], Any]:
    """Make what Python makes when it starts; what is left is to run its module or its code."""
    how, what, *arguments = call.arguments
    sys.path[:] = [
        call.folder if how == "-m" else "",
        *filter(None, call.environment.get("PYTHONPATH", "").split(os.pathsep)),
        *OTHERS,
    ]
    sys.argv = [how, *arguments]
    main_module = sys.modules["__main__"] = types.ModuleType("__main__")
    encoding, errors = "utf-8", "surrogateescape" if call.environment.get("LC_ALL", "") == "C" else "strict"
    sys.stdin = open(0, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    for name, number, on_error in (("stdout", 1, errors), ("stderr", 2, "backslashreplace")):
        lines = number == 2 or os.isatty(number)
        raw = open(number, "wb", buffering=-1, closefd=False)  # noqa: SIM115
        stream = io.TextIOWrapper(raw, encoding=encoding, errors=on_error, line_buffering=lines)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if how == "-c":
        return lambda: exec(what, vars(main_module))
    import launch.backends.local as backend
    import pretrain.processes.garbage

    backend.subprocess = Ranks()  # type: ignore[assignment]
    pretrain.processes.garbage.gc = Frozen()  # type: ignore[assignment]
    if arguments[:1] == ["prepare"]:
        fork_workers(server_of_this_process().fork)
    return lambda: runpy._run_module_as_main(MODULE)  # type: ignore[attr-defined]


def exit_code(run: Callable[[], Any]) -> int:
    """What Python would end with, or the signal that it has to die from as a negative number."""
    try:
        run()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        return -signal.SIGINT
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def ended(code: int) -> int:
    """End the interpreter as Python does."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code & 0xFF


def fork_workers(fork: Callable[[Call, Sequence[int]], int | None]) -> None:
    """From now on, the workers that multiprocessing spawns are forked by ``fork``, or started where that returns
    None."""
    spawn: Callable[..., int] = multiprocessing.util.spawnv_passfds

    def forked(path: Any, args: Sequence[Any], passed: Sequence[int]) -> int:
        texts = [os.fsdecode(arg) for arg in args]
        if "--multiprocessing-fork" not in texts:
            return spawn(path, args, passed)
        files = sorted(set(map(int, passed)))
        call = Call.here(texts[texts.index("-c") :], os.environ, passed=files)
        return fork(call, (0, 1, 2, *files)) or spawn(path, args, passed)

    multiprocessing.util.spawnv_passfds = forked


def show_in_proc(argv: list[str], environment: Mapping[str, str]) -> None:
    """Write a command line and an environment where /proc shows them; whoever looks for a process looks there."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    places = [int(field) for field in fields[45:49]]  # start and end of arguments and environment, fields 48 to 51
    for texts, start, end in (
        (argv, *places[:2]),
        ([f"{name}={value}" for name, value in environment.items()], *places[2:]),
    ):
        content = b"".join(os.fsencode(text) + b"\0" for text in texts)
        assert len(content) < end - start, f"{len(content)} bytes do not fit; ROOM is {end - start}"
        ctypes.memmove(start, content.ljust(end - start, b"\0"), end - start)


class Ranks(types.ModuleType):
    """The module `subprocess` for the backend of a forked launcher: its ranks are forked too."""

    def __init__(self) -> None:
        super().__init__("subprocess")
        self.__dict__.update(vars(subprocess), Popen=Forked)


class Forked(subprocess.Popen[Any]):
    """A rank, forked from its launcher."""

    def _execute_child(self, *given: Any) -> None:
        call, descriptors = call_of(*given)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = self.fork(call, descriptors)
        self._child_created = True
        self._close_pipe_fds(*given[10:16])  # type: ignore[attr-defined]

    def fork(self, call: Call, descriptors: tuple[int, ...]) -> int:
        """The process id of a new child."""
        pid = os.fork()
        if pid == 0:
            become(call, descriptors)
        return pid


def call_of(
    args: Any,
    executable: Any,
    preexec_fn: Any,
    close_fds: bool,
    pass_fds: Any,
    cwd: Any,
    env: Mapping[str, str] | None,
    startupinfo: Any,
    creationflags: Any,
    shell: bool,
    p2cread: int,
    p2cwrite: int,
    c2pread: int,
    c2pwrite: int,
    errread: int,
    errwrite: int,
    *rest: Any,
) -> tuple[Call, tuple[int, ...]]:
    """What `Popen` (3.11 to 3.14) gives to `_execute_child` as a Call, and the three files."""
    start_new_session, process_group = rest[5], rest[6] if len(rest) > 6 else -1
    argv = [os.fsdecode(item) for item in args]
    known = argv[1:3] == ["-m", MODULE] or argv[1] == "-c"
    assert argv[0] == sys.executable and known, f"{argv[:3]} cannot be forked: start a real process"
    assert not (preexec_fn or pass_fds or shell) and process_group in (-1, None) and close_fds
    for descriptor in (p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite):
        assert descriptor == -1 or descriptor > 2
    call = Call.here(
        argv[1:], os.environ if env is None else env, None if cwd is None else os.fspath(cwd), bool(start_new_session)
    )
    return call, tuple(own if file == -1 else file for own, file in enumerate((p2cread, c2pwrite, errwrite)))


OTHERS = [entry for entry in sys.path[1:] if entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
"""Where modules are found beside the folder of a process and its PYTHONPATH."""

if __name__ == "__main__":
    main()
