"""A process that has imported everything heavy once, and forks `python -m launch.cli ...` from itself when it is asked.

    python tests/fork_server.py DESCRIPTOR        serve the calls that arrive there until the other end closes

A forked command differs from a started one in what it does not do: load the interpreter and its modules. Arguments,
environment, folder, files, signals, session, process id, parent, exit code and its lines in /proc are its own:
``commands.py`` calls, becomes its parent, and waits for it as for any other process.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
MODULE = "launch.cli"
ROOM = 16384
"""Bytes for the command line and for the environment in /proc of a forked process."""
KERNELS = ("masking.kernels", "data_prep.kernels", "pretrain.feed.kernels")
HEAVY = (
    *KERNELS,
    *(f"pretrain.{name}" for name in ("trainer", "optimizer_state", "evaluation.heldout", "collating.collator")),
    *(f"pretrain.state.{name}" for name in ("exporting", "companions", "model_card", "card_facts")),
    *(f"launch.{name}" for name in ("cli", "backends.local", "processes.dry_run", "outcomes.exporting")),
    "data_prep.preparing.pipeline",
    *("deepspeed.runtime.zero.muon.muon_optimizer", "deepspeed.ops.op_builder.all_ops", "setuptools"),
    *("deepspeed.module_inject.auto_ep_layer", "deepspeed.utils.pin_memory"),
    *("transformers.activations", "transformers.models.auto.tokenization_auto"),
    *(f"transformers.models.{name}" for name in ("ernie.modeling_ernie", "bert.modeling_bert")),
    *("transformers.models.bert.tokenization_bert", "transformers.integrations.mistral"),
    *("torch.distributed.tensor", "torch._inductor.compile_fx", "torch.profiler._cupti_monitor"),
    *("pyarrow.ipc", "numpy.ma", "numpy.ctypeslib", "ruamel.yaml", "pydantic.type_adapter"),
)
"""What training, evaluation and export import sooner or later."""


class Call(NamedTuple):
    """A command to become, and what it inherits."""

    arguments: list[str]
    """What follows `python -m launch.cli`."""
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
    parent: int


def main() -> None:
    """Import, then serve."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = str(ROOT)
    for name in HEAVY:
        importlib.import_module(name)
    del sys.modules[MODULE]  # what it imports stays; it runs anew as each command
    load_compiled()
    gc.collect()
    gc.freeze()
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    connection.send(str(threads).encode())
    while True:
        message, descriptors, *_ = socket.recv_fds(connection, 1 << 18, 3)
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
            become(call, (descriptors[0], descriptors[1], descriptors[2]))
        os.waitpid(between, 0)
        connection.send(b"orphaned")
        for descriptor in descriptors:
            os.close(descriptor)


def load_compiled() -> None:
    """Load the compiled loops that numba has in its cache."""
    from numba.core.dispatcher import Dispatcher

    for name in KERNELS:
        for loop in vars(sys.modules[name]).values():
            if isinstance(loop, Dispatcher):
                for signature, *_ in loop._cache._cache_file._load_index():
                    loop.compile(signature)


def become(call: Call, descriptors: tuple[int, int, int]) -> NoReturn:
    """Be `python -m launch.cli ARGUMENTS` from here on."""
    try:
        inherit(call, descriptors)
        renew_interpreter(call)
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    os._exit(ended(run_module()))


def inherit(call: Call, descriptors: tuple[int, int, int]) -> None:
    """What a process has of the one that starts it."""
    assert os.getppid() == call.parent, f"the parent is {os.getppid()}, not {call.parent}"
    if call.session:
        os.setsid()
    else:
        os.setpgid(0, call.group)
    kept = [os.dup(descriptor) if descriptor < 3 else descriptor for descriptor in descriptors]
    for number, descriptor in enumerate(kept):
        os.dup2(descriptor, number)
    os.closerange(3, 4096)
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN if number in call.ignored else signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # as Python does when it starts
        signal.signal(number, signal.SIG_IGN)
    if signal.SIGINT not in call.ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    os.chdir(call.folder)
    os.environ.clear()
    os.environ.update(call.environment)
    show_in_proc([sys.executable, "-m", MODULE, *call.arguments], call.environment)
    signal.pthread_sigmask(signal.SIG_SETMASK, call.blocked)


def renew_interpreter(call: Call) -> None:
    """What Python makes when it starts."""
    sys.path[:] = [call.folder, *filter(None, call.environment.get("PYTHONPATH", "").split(os.pathsep)), *OTHERS]
    sys.argv = ["-m", *call.arguments]
    sys.modules["__main__"] = types.ModuleType("__main__")
    encoding, errors = "utf-8", "surrogateescape" if call.environment.get("LC_ALL", "") == "C" else "strict"
    sys.stdin = open(0, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    for name, number, how in (("stdout", 1, errors), ("stderr", 2, "backslashreplace")):
        lines = number == 2 or os.isatty(number)
        raw = open(number, "wb", buffering=-1, closefd=False)  # noqa: SIM115
        stream = io.TextIOWrapper(raw, encoding=encoding, errors=how, line_buffering=lines)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    import launch.backends.local as backend

    backend.subprocess = Ranks()  # type: ignore[assignment]


def run_module() -> int:
    """The exit code of the module, or the signal that it has to die from as a negative number."""
    try:
        runpy._run_module_as_main(MODULE)  # type: ignore[attr-defined]
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

    def fork(self, call: Call, descriptors: tuple[int, int, int]) -> int:
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
) -> tuple[Call, tuple[int, int, int]]:
    """What `Popen` (3.11 to 3.14) gives to `_execute_child` as a Call, and the three files."""
    start_new_session, process_group = rest[5], rest[6] if len(rest) > 6 else -1
    argv = [os.fsdecode(item) for item in args]
    assert argv[:3] == [sys.executable, "-m", MODULE], f"{argv[:3]} cannot be forked: start a real process"
    assert not (preexec_fn or pass_fds or shell) and process_group in (-1, None) and close_fds
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    for descriptor in (p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite):
        assert descriptor == -1 or descriptor > 2
    call = Call(
        arguments=argv[3:],
        environment=dict(os.environ if env is None else env),
        folder=os.fspath(cwd) if cwd is not None else os.getcwd(),  # noqa: PTH109
        session=bool(start_new_session),
        group=os.getpgrp(),
        blocked=[int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        ignored=[int(number) for number, handler in handlers.items() if handler is signal.SIG_IGN],
        parent=os.getpid(),
    )
    stdin, stdout, stderr = (own if file == -1 else file for own, file in enumerate((p2cread, c2pwrite, errwrite)))
    return call, (stdin, stdout, stderr)


OTHERS = [entry for entry in sys.path[1:] if entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
"""Where modules are found beside the folder of a process and its PYTHONPATH."""

if __name__ == "__main__":
    main()
