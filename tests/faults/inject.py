"""Inject faults and kills into real training runs and compare what comes out with undisturbed ones.

    python tests/faults/inject.py [--moments 50] [--seed 1] [--modes zero1 zero3] [--only NAME ...] [--keep]
    make faults

Kills hit at random moments, several in a row in one run (kills.py); faults are the entries of entries.py; `--only`
takes parts of their names, and `kills` for all random kills. Prints a table and exits with 1 unless every row is as
promised.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from entries import FAULTS
from faults import play_fault
from kills import play
from moments import KILLS, draw_events
from plan import MODES, ROOT, Bench
from table import Row, render


def main() -> int:
    """Play everything that was asked for."""
    arguments = parse()
    if arguments.list:
        print("\n".join([*(kill.name for kill in KILLS), *(fault.name for fault in FAULTS)]))
        return 0
    plain_signals()
    temporary = arguments.work is None
    work = Path(tempfile.mkdtemp(prefix="kmask-faults-")) if temporary else arguments.work.resolve()
    bench = Bench(work=work, code=arguments.code.resolve(), patience=arguments.patience)
    begun, rows = time.monotonic(), []
    try:
        for row in everything(bench, arguments):
            rows.append(row)
            minutes = (time.monotonic() - begun) / 60
            words = f" ({row.remark or row.difference})" if not row.good else ""
            print(f"{minutes:5.1f} min  {'ok ' if row.good else 'BAD'} {' | '.join(row.cells())}{words}", flush=True)
    except KeyboardInterrupt:
        print("interrupted; this is what was done:", flush=True)
    finally:
        bench.close()
    minutes = (time.monotonic() - begun) / 60
    print(f"\n{render(rows)}\n{len(bench.launches)} launches in {minutes:.0f} minutes, seed {arguments.seed}")
    if temporary and not arguments.keep:
        shutil.rmtree(work, ignore_errors=True)
    else:
        print(f"runs and their words are in {work}")
    return 0 if rows and all(row.good for row in rows) else 1


def plain_signals() -> None:
    """Launches hear every signal, under nohup as well; SIGTERM ends this script like Ctrl-C, and its launches with
    it."""
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGINT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=50, help="random kills, spread over the modes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--only", nargs="+", default=[], help="parts of names; `kills`: every random kill")
    parser.add_argument("--keep", action="store_true", help="keep the working folder")
    parser.add_argument("--work", type=Path, help="working folder; it is kept, and its prepared data (only) used again")
    parser.add_argument("--code", type=Path, default=ROOT, help="source tree to try")
    parser.add_argument("--patience", type=float, default=1.0, help="factor of all time limits, for a busy machine")
    parser.add_argument("--list", action="store_true", help="print all names")
    return parser.parse_args()


def everything(bench: Bench, arguments: argparse.Namespace) -> Iterator[Row]:
    """Random kills in every mode, then the faults; a mode that cannot even be trained undisturbed is one row."""
    wanted: list[str] = arguments.only
    kills = [kill for kill in KILLS if chosen(kill.name, wanted) or "kills" in wanted]
    share, rest = divmod(arguments.moments if kills else 0, len(arguments.modes))
    for number, mode in enumerate(arguments.modes):
        draw = random.Random(f"{arguments.seed}/{mode}")
        count = share + (number < rest)
        if count:
            yield from guarded("kills", mode, lambda m=mode, d=draw, c=count: play(bench, m, draw_events(d, c, kills)))
    for fault in FAULTS:
        for mode in fault.modes if len(fault.modes) == 1 else [mode for mode in fault.modes if mode in arguments.modes]:
            if chosen(fault.name, wanted):
                draw = random.Random(f"{arguments.seed}/{fault.name}/{mode}")
                yield from guarded(fault.name, mode, lambda f=fault, m=mode, d=draw: [play_fault(f, bench, m, d)])


def guarded(name: str, mode: str, rows: Callable[[], Iterable[Row]]) -> Iterator[Row]:
    """The rows, or one that tells why there are none."""
    try:
        yield from rows()
    except Exception as error:
        with contextlib.suppress(OSError):
            traceback.print_exc()
        yield Row(fault=name, mode=mode, injected="", remark=f"the harness failed: {type(error).__name__}: {error}")


def chosen(name: str, wanted: list[str]) -> bool:
    """Was this asked for?"""
    return not wanted or any(part in name for part in wanted)


if __name__ == "__main__":
    sys.exit(main())
