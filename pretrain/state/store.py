"""The checkpoints of a run, for the one process that writes them: published whole, read back, and pruned.

Store.save      staging folder -> fsync -> a target that is there already is set aside -> rename -> older valid ones are
                deleted
Store.latest    the newest valid one as a Snapshot; says which ones it passed over and why

    keep: 2, keep_every: 10    steps 5, 10, 15, 20, 25 are saved    10, 20, 25 stay

Only folders named ``step-`` and eight digits are checkpoints; whatever else lies beside them is neither counted nor
deleted.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from data_prep.files import STAGING_PREFIX, staged_folder, staging_name
from pretrain.state.checkpoint import Note, Snapshot, State, load, newest, read
from pretrain.state.checkpoint_files import free_name, signature, write_files
from pretrain.state.names import candidates


class Store:
    """The checkpoints of a run, for the one process that writes them (it holds the run's lock).

    Args:
        keep: so many of the newest stay.
        keep_every: those of steps that are multiples of it stay too; 0: none.
    """

    def __init__(self, folder: Path, keep: int, note: Note, keep_every: int = 0) -> None:
        self.folder, self.keep, self.note, self.keep_every = folder, keep, note, keep_every
        self._whole: dict[Path, tuple[tuple[int, int], ...]] = {}

    def latest(self) -> Snapshot | None:
        """The newest valid checkpoint (see ``latest``), hashed as it is read. One that a kill caught between two names
        gets its own back."""
        for aside in self.folder.glob("step-*.replaced*"):
            if not (own := aside.with_name(aside.name.partition(".")[0])).exists():
                aside.rename(own)
        found = newest(self.folder, self.note, self._read)
        if found is None or not (step := found.state.best.get("step")) or (self.folder / f"step-{step:08d}").exists():
            return found
        self.note(f"the best checkpoint, that of step {step:,}, is not there any more; the best is looked for anew")
        left = {name: value for name, value in found.state.best.items() if name not in ("step", "value")}
        return replace(found, state=replace(found.state, best=left))

    def _read(self, path: Path) -> Snapshot:
        found = read(path)
        self._whole[path] = signature(path)
        return found

    def save(self, snapshot: Snapshot) -> Path:
        """Publish a checkpoint and delete all valid ones but the newest ``keep``, the best and those that stay for
        ever.

        A folder of this step that is there already is replaced; if it is damaged it stays, under another name.

        Raises:
            OSError: it could not be written (a full disk); nothing that was there has changed.
        """
        state = snapshot.state
        target = self.folder / f"step-{state.step:08d}"
        for left_over in self.folder.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(left_over, ignore_errors=True)  # the lock is ours: whoever wrote this has ended
        aside: Path | None = None
        try:
            with staged_folder(target) as staging:
                write_files(staging, snapshot.tensors, _plain(snapshot.state))
                if target.exists():
                    aside = self._set_aside(target)
        except OSError:
            if aside is not None and not target.exists():
                aside.rename(target)
            raise
        for replaced in self.folder.glob(f"{target.name}.replaced*"):
            shutil.rmtree(replaced, ignore_errors=True)
        self._whole[target] = signature(target)
        for old in self._superfluous(target, snapshot.state.best.get("step", 0)):
            doomed = old.rename(self.folder / staging_name(old.name))  # never half a checkpoint
            shutil.rmtree(doomed, ignore_errors=True)
        return target

    def _superfluous(self, target: Path, best: int) -> list[Path]:
        """Valid checkpoints that are neither among the newest nor kept for ever nor the best nor just written."""
        newest, found = 0, []
        for path in reversed(candidates(self.folder)):
            if newest >= self.keep and (path == target or self._stays(path, best)):
                continue
            if self._is_whole(path):
                newest += 1
                found += [path] if newest > self.keep else []
        return found

    def _stays(self, path: Path, best: int) -> bool:
        step = int(path.name[-8:])
        return step == best > 0 or (bool(self.keep_every and step) and step % self.keep_every == 0)

    def _set_aside(self, target: Path) -> Path:
        whole = self._is_whole(target)
        aside = target.rename(free_name(target, "replaced" if whole else "damaged"))
        if not whole:
            self.note(f"checkpoint {target} was damaged: it is now {aside.name}, and a new one takes its place")
        return aside

    def _is_whole(self, path: Path) -> bool:
        """Is this a valid checkpoint? Hashed once; afterwards sizes and times of its files tell."""
        try:
            if self._whole.get(path) != signature(path):
                load(path)
                self._whole[path] = signature(path)
        except (ValueError, OSError):
            return False
        return True


def _plain(state: State) -> dict[str, Any]:
    return {**asdict(state), "cursors": {name: cursor._asdict() for name, cursor in state.cursors.items()}}
