"""What another run of kmask learned, for a run that begins from it: read from its newest checkpoint, from one of its
checkpoints, or from an export.

    read_origin(path, moments)  ->  Origin       facts as the checkpoint's state has them, and tensors by our names
                                    None         the folder is not one of kmask's: a BERT or ERNIE (importing.py)

    export  model.safetensors + auxiliary_heads.safetensors + training_manifest.json  ->  the same, without Adam (of one
            as plain BERT also unfolded_embeddings.safetensors)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_prep.encoding import Tokenizer
from data_prep.files import read_json, sha256_file, sha256_json
from pretrain.state import checkpoint
from pretrain.state.checkpoint import Checkpoint
from pretrain.state.heads import AUXILIARY, MANIFEST, UNFOLDED
from pretrain.state.importing import read_pretrained
from pretrain.state.names import NAME
from pretrain.state.tensor_files import stored

FACTS = ("step", "config", "encoder", "done", "learned", "task_ids", "seen", "source")
"""Fields of a state that an export's manifest has too."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A run as its checkpoint or export knows it."""

    path: str
    """As the user named it."""
    kind: str
    """`run` or `export`."""
    step: int
    config: Mapping[str, Any]
    """Its resolved configuration."""
    encoder: Mapping[str, Any]
    done: Sequence[Mapping[str, Any]]
    learned: Sequence[str]
    task_ids: Mapping[str, int]
    """Rows of its task table by task; empty: written before they were recorded."""
    seen: Mapping[str, float]
    source: Mapping[str, Any]
    """What it began from itself."""
    fingerprints: Mapping[str, str]
    """Of the prepared folders."""
    loss_scale: Mapping[str, Any]
    fingerprint: str
    """sha256 of the checkpoint's state.json, which holds those of its tensors; of an export, of its weights."""
    tokenizer: Tokenizer
    tensors: Mapping[str, torch.Tensor]
    """fp32 on the CPU: ``NAME``, and what Adam knows where that was asked for."""
    notes: Sequence[str]

    def record(self) -> dict[str, Any]:
        """What a run keeps about it."""
        return {
            **{name: getattr(self, name) for name in ("path", "kind", "step", "fingerprint")},
            "learned": list(self.learned),
            "done": [dict(item) for item in self.done],
            "config": dict(self.source.get("config", {})),
            "pooler": self.seen["pooled"] > 0 or bool(self.source.get("pooler")),
            "source": dict(self.source),
        }


def read_origin(path: Path, moments: bool) -> Origin | None:
    """What the run, checkpoint or export at ``path`` learned; None when the folder is not one of kmask's.

    Args:
        moments: also read what Adam knows.

    Raises:
        ValueError: it has no usable checkpoint, its files do not belong together, or ``moments`` of an export.
    """
    notes: list[str] = []
    if NAME.fullmatch(path.name) and (path / "state.json").is_file():
        return _of_checkpoint(path, checkpoint.load(path), moments, notes)
    folder = path if path.name == "checkpoints" else path / "checkpoints"
    if folder.is_dir():
        found = checkpoint.latest(folder, notes.append)
        if found is None:
            raise ValueError(f"model.path {path}: this run holds no checkpoint yet")
        return _of_checkpoint(path, found, moments, notes)
    manifest = read_json(path / MANIFEST) if (path / MANIFEST).is_file() else {}
    if not isinstance(manifest, dict) or "learned" not in manifest or "companion" in manifest:
        return None
    if moments:
        raise ValueError(
            f"model.optimizer: keep, but {path} is an export, which holds weights without Adam's moments; give the run "
            "folder instead, or take optimizer: reset"
        )
    return _of_export(path, manifest)


def _of_checkpoint(path: Path, found: Checkpoint, moments: bool, notes: Sequence[str]) -> Origin:
    state = found.state
    tensors = found.tensors(optimizer=moments)
    return Origin(
        path=str(path),
        kind="run",
        **{name: getattr(state, name) for name in FACTS},
        fingerprints=state.fingerprints,
        loss_scale=state.loss_scale if moments else {},
        fingerprint=sha256_file(found.folder / "state.json"),
        tokenizer=Tokenizer(folder=found.folder.parent.parent / "tokenizer"),
        tensors={name: tensor for name, tensor in tensors.items() if not name.endswith("#begin")},
        notes=notes,
    )


def _of_export(path: Path, manifest: Mapping[str, Any]) -> Origin:
    missing = [name for name in FACTS if name not in manifest and name != "task_ids"]
    if missing:
        raise ValueError(f"model.path {path}: {MANIFEST} does not say {', '.join(missing)}; export the run again")
    tokenizer = Tokenizer(folder=path)
    tensors = dict(read_pretrained(path, tokenizer).tensors)
    files = [path / name for name in ("model.safetensors", AUXILIARY, UNFOLDED) if (path / name).is_file()]
    if (path / AUXILIARY).is_file():
        tensors |= {f"heads.{name}": tensor.float() for name, tensor in stored(path / AUXILIARY).items()}
    if (path / UNFOLDED).is_file():  # an export as plain BERT
        tensors |= stored(path / UNFOLDED)
    return Origin(
        path=str(path),
        kind="export",
        **{"task_ids": {}, **{name: manifest[name] for name in FACTS if name in manifest}},
        fingerprints=manifest.get("fingerprints", {}),
        loss_scale={},
        fingerprint=sha256_json({file.name: sha256_file(file) for file in files}),
        tokenizer=tokenizer,
        tensors=tensors,
        notes=[],
    )


def chain(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A record of where a run began, then that of where its origin began, and so on."""
    while source:
        yield source
        source = source.get("source", {})
