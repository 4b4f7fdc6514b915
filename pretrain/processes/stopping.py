"""Being asked to stop: signals that mean "save and end", heard from the first moment on.

    listen()            the handlers stand, before anything slow is imported
    asked()             did one arrive?
    ask()               the same from within (heartbeat.py: a file in the run's folder says so)
    with shielded():    processes started in here do not hear them: the one that started them decides when they end

SIGTERM (Slurm, systemd, DeepSpeed, torchrun), SIGUSR1 (Slurm's warning before the time limit), SIGHUP (a closed
terminal) and SIGINT (Ctrl-C) ask; a second Ctrl-C ends at once, when the checkpoint that is being written is on the
disk. What is ignored already stays ignored (nohup).
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT)
_heard: list[int] = []


def listen() -> None:
    """Note the signals instead of dying from them; those that were blocked until now are delivered."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def forget() -> None:
    """Give the signals their usual meaning back, and forget what was heard."""
    for number in SIGNALS:
        if signal.getsignal(number) is _hear:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _heard.clear()


def asked() -> bool:
    """Was this process asked to stop?"""
    return bool(_heard)


def ask() -> None:
    """Ask this process to stop, from within."""
    if not _heard:
        _heard.append(0)


def _hear(number: int, frame: object) -> None:
    if number == signal.SIGINT and signal.SIGINT in _heard:
        raise KeyboardInterrupt
    _heard.append(number)


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Processes started in the block inherit the signals as blocked; this one hears them when the block ends.

    Before processes of multiprocessing, call ``start_tracker``.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_tracker() -> None:
    """Start multiprocessing's resource tracker. Were it started with the first worker, it would unblock SIGTERM and
    SIGINT for the worker."""
    with shielded():
        resource_tracker.ensure_running()
