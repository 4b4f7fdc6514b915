"""Faults in a running launch: a disk without space, a second training in the same folder.

Each is called with the scene and the launch once the launch has begun, and waits for its moment by itself.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from moments import Watch

if TYPE_CHECKING:
    from faults import Scene
    from processes import Launch

SMALL_FILES = 64 << 10
"""A checkpoint does not fit into a file of this size; metrics and words do."""
SPACE = r"(?i)no space|space left|disk|too large|quota"
STEP = 13


class NotHereError(Exception):
    """This fault cannot be injected on this machine."""


def wait_for_step(scene: Scene, launch: Launch, step: int) -> bool:
    """Wait until a launch has done a step; False when it ended before."""
    watch, deadline = Watch(scene.run, launch), time.monotonic() + scene.bench.limit
    while launch.running and watch.look() < step and time.monotonic() < deadline:
        time.sleep(0.002)
    return launch.running


def trouble(launch: Launch, seconds: float = 60.0) -> None:
    """Wait until a launch tells of a lack of space, or ends."""
    deadline = time.monotonic() + seconds
    while launch.running and not re.search(SPACE, launch.text) and time.monotonic() < deadline:
        time.sleep(0.002)


def limited_files(scene: Scene, launch: Launch) -> None:
    """Rank 0 may write small files only, until it has noticed."""
    if not wait_for_step(scene, launch, STEP):
        return
    scene.where = f"step {STEP}: files of 64 KiB"
    for pid in launch.find("rank-0"):
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (SMALL_FILES, hard))
        trouble(launch)
        if launch.running:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def small_disk(scene: Scene) -> None:
    """The run moves to a disk of its own, a few times its size."""
    disk = scene.run.parent / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        raise NotHereError("only root may mount a small disk")
    scene.stack.callback(subprocess.run, ["umount", "-l", disk], check=False)
    shutil.move(scene.run, disk / "run")
    scene.run = disk / "run"


def full_disk(scene: Scene, launch: Launch) -> None:
    """The disk is full, until that is noticed."""
    if not wait_for_step(scene, launch, STEP):
        return
    ballast = scene.run.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * (64 << 10)):
                pass
        except OSError:
            scene.where = f"step {STEP}: no space left"
    trouble(launch)
    ballast.unlink()


def second_training(scene: Scene, launch: Launch) -> None:
    """The same command once more while the first runs (slowed down, or it would be over before)."""
    if not wait_for_step(scene, launch, STEP):
        return
    for rank in launch.find("rank"):
        os.kill(rank, signal.SIGSTOP)
    scene.where = f"step {STEP}"
    second = scene.bench.train(scene.run, scene.overrides)
    for rank in launch.find("rank"):
        os.kill(rank, signal.SIGCONT)
    scene.text = second.text
    if second.code != 2:
        scene.problem = f"the second training ended with {second.code}: {second.last_words}"
