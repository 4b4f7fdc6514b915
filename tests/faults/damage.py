"""Ways to damage a run or its data between two launches. What a person would have to mend is returned as a function.

damaged(file, how)      one flipped bit or a truncation in a file of the newest checkpoint
shard(how)              the same in a copy of the prepared folder
beside(name, make)      something that does not belong there, in RUN/checkpoints
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from compare import checkpoints_differ, step_folders

if TYPE_CHECKING:
    from faults import Scene

How = Callable[[Path, Random], str]
"""Damages a file and tells where."""
CHANGED_BYTES = 2000


def flip(file: Path, draw: Random) -> str:
    """One bit anywhere."""
    content = bytearray(file.read_bytes())
    place = draw.randrange(len(content))
    content[place] ^= 1 << draw.randrange(8)
    file.write_bytes(content)
    return f"byte {place:,}"


def flip_in_cursor(file: Path, draw: Random) -> str:
    """One bit of a digit of a cursor: still JSON, another number."""
    content = bytearray(file.read_bytes())
    found = re.search(rb'"row":\s*\d*(\d)', content)
    assert found, f"no cursor in {file}"
    content[found.start(1)] ^= 1
    file.write_bytes(content)
    return f"byte {found.start(1):,}"


def truncate(file: Path, draw: Random) -> str:
    """Its end is missing."""
    size = draw.randrange(1, file.stat().st_size)
    os.truncate(file, size)
    return f"cut to {size:,}"


def change_ids(file: Path, draw: Random) -> str:
    """Token ids become others of the vocabulary: readable, and wrong."""
    content = bytearray(file.read_bytes())
    start, count, width = column(file, "token_ids")[1]
    for number in draw.sample(range(count), min(count, CHANGED_BYTES)):
        content[start + number * width] ^= 1
    file.write_bytes(content)
    return f"{min(count, CHANGED_BYTES):,} bytes"


def change_offset(file: Path, draw: Random) -> str:
    """One document's beginning lies far away."""
    content = bytearray(file.read_bytes())
    start, count, width = column(file, "token_ids")[0]
    place = start + draw.randrange(1, count - 1) * width
    content[place + 2] ^= 1  # 65,536 tokens away
    file.write_bytes(content)
    return f"byte {place:,}"


def column(file: Path, name: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Where the offsets and the values of a list column lie in a shard: first byte, number, width."""
    import pyarrow as pa

    whole = pa.memory_map(str(file)).read_buffer()
    array = pa.ipc.open_stream(whole).read_next_batch().column(name)
    offsets, values = array.buffers()[1], array.values
    width = values.type.bit_width // 8
    return (
        (offsets.address - whole.address, len(array) + 1, 4),
        (values.buffers()[1].address - whole.address, len(values), width),
    )


def damaged(name: str, how: How) -> Callable[[Scene], None]:
    """Damage to a file of the newest checkpoint."""

    def inject(scene: Scene) -> None:
        place = how(scene.newest() / name, scene.draw)
        scene.overrides.append("checkpoints.keep=100")  # to look at the step when it is saved again
        scene.where = f"{scene.newest().name}: {place}"

    return inject


def shard(how: How) -> Callable[[Scene], Callable[[], Any]]:
    """Damage to a shard of the data; the next launch has the whole ones."""

    def inject(scene: Scene) -> Callable[[], Any]:
        file = scene.draw.choice(sorted((scene.data() / "parts").glob("*/train.arrow")))
        original = file.read_bytes()
        scene.where = f"{file.parent.name}: {how(file, scene.draw)}"
        return lambda: file.write_bytes(original)

    return inject


def beside(name: str, make: Callable[[Path, Path], Any], keep: int = 3) -> Callable[[Scene], None]:
    """Something put into RUN/checkpoints; ``make`` gets its path and the newest checkpoint."""

    def inject(scene: Scene) -> None:
        make(scene.run / "checkpoints" / name, scene.newest())
        scene.overrides.append(f"checkpoints.keep={keep}")
        scene.where = name

    return inject


def copied(target: Path, newest: Path) -> None:
    """A copy of the newest checkpoint."""
    shutil.copytree(newest, target)


def emptied(target: Path, newest: Path) -> None:
    """An empty folder."""
    target.mkdir()


def scribbled(target: Path, newest: Path) -> None:
    """A file that is none of ours."""
    target.write_text("not a checkpoint\n")


def staged_elsewhere(target: Path, newest: Path) -> None:
    """What a machine left behind that shares the disk."""
    target.mkdir()
    (target / "model.safetensors").write_bytes(b"\0" * 1000)


def still_there(name: str) -> Callable[[Scene], str]:
    """A check: was something of somebody else's left alone?"""
    return lambda scene: "" if (scene.run / "checkpoints" / name).exists() else f"{name} was deleted"


def saved_again(step: int) -> Callable[[Scene], str]:
    """A check: does the checkpoint of a step, written in place of a damaged one, equal the undisturbed run's?"""

    def check(scene: Scene) -> str:
        name = f"step-{step:08d}"
        wanted = scene.bench.reference(scene.mode).run / "checkpoints" / name
        found = [folder for folder in step_folders(scene.run) if folder.name == name]
        try:
            difference = checkpoints_differ(found[0], wanted) if found else "missing"
        except Exception as error:  # whatever a damaged file makes its reader raise
            difference = f"still damaged ({type(error).__name__}: {error})"
        return f"{name} was not saved again: {difference}" if difference else ""

    return check


def half_line(scene: Scene) -> None:
    """Metrics end in the middle of a line."""
    with (scene.run / "metrics.jsonl").open("a") as file:
        file.write('{"event": "train", "st')
    scene.where = "metrics.jsonl"
