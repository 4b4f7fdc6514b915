"""An export as the checkpoint that it was made from, to measure it: weights, and what the manifest kept of the state.

exported("runs/my/model")  ->  Exported      None: the folder is no export of kmask
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pretrain.state.checkpoint import State
from pretrain.state.heads import MANIFEST
from pretrain.state.origins import Origin, read_origin
from pretrain.state.tensor_files import Weights


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A folder that `kmask export` wrote; ``weights`` and ``state`` are those of a Checkpoint."""

    folder: Path
    state: State
    """Without cursors: an export does not say where training stood in its data."""
    origin: Origin

    @property
    def state_file(self) -> Path:
        """The file that says what the folder holds."""
        return self.folder / MANIFEST

    def weights(self) -> Weights:
        """By our names, fp32."""
        return Weights.of(self.origin.tensors)


def is_export(folder: Path) -> bool:
    """Did `kmask export` write this folder? Companions beside an export hold one head's encoder, and are none."""
    return (folder / MANIFEST).is_file() and not (folder / "checkpoints").is_dir()


def exported(folder: Path) -> Exported:
    """Open an export.

    Raises:
        ValueError: its manifest lacks something, or its files do not belong together.
    """
    origin = read_origin(folder, False)
    if origin is None:
        raise ValueError(f"{folder}: its {MANIFEST} does not say what was learned; give the export itself")
    done = list(origin.done)
    state = State(
        step=origin.step,
        stage=max(len(done) - 1, 0),
        cursors={},
        shares={},
        done=done,
        learned=origin.learned,
        fingerprints=origin.fingerprints,
        config=origin.config,
        encoder=origin.encoder,
        seen=origin.seen,
        source=origin.source,
        task_ids=origin.task_ids,
    )
    return Exported(folder=folder, state=state, origin=origin)
