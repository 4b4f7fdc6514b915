"""The weights of a Hugging Face folder: safetensors or a pickle, whole or in numbered shards.

weight_files(folder)   ->  [model-00001-of-00002.safetensors, ...]     every one is there, or an error
load_weights(folder)   ->  {name: tensor} as saved
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import torch

OTHER_FORMATS = {
    "model_state.pdparams": "PaddlePaddle",
    "tf_model.h5": "TensorFlow",
    "model.ckpt.index": "TensorFlow",
    "flax_model.msgpack": "Flax",
}


def weight_files(folder: Path) -> list[Path]:
    """The file that holds all weights, or all of its shards: those an index lists, or those their numbers promise.

    model-00001-of-00003.safetensors  ->  that one, model-00002-of-00003.safetensors and
        model-00003-of-00003.safetensors

    Raises:
        ValueError: there is none, or a shard is missing.
    """
    for stem, suffix in (("model", ".safetensors"), ("pytorch_model", ".bin")):
        if (whole := folder / f"{stem}{suffix}").is_file():
            return [whole]
        numbered = sorted(file.name for file in folder.glob(f"{stem}-[0-9]*-of-[0-9]*{suffix}"))
        if (index := folder / f"{stem}{suffix}.index.json").is_file():
            names = _listed(index)
        elif numbered:
            total = numbered[0].removesuffix(suffix).rpartition("-of-")[2]
            names = [f"{stem}-{number:05d}-of-{total}{suffix}" for number in range(1, int(total) + 1)]
        else:
            continue
        missing = [name for name in names if not (folder / name).is_file()]
        if missing or not names:
            raise ValueError(
                f"model.path {folder}: {len(missing)} of {len(names)} shards are missing ({', '.join(missing[:3])}); "
                "copy the folder again"
            )
        return [folder / name for name in names]
    other = next(
        (
            f" (those of {framework} must be converted first)"
            for name, framework in OTHER_FORMATS.items()
            if (folder / name).exists()
        ),
        "",
    )
    raise ValueError(
        f"model.path {folder}: no weights there{other}: neither model.safetensors nor pytorch_model.bin, whole or in "
        "numbered shards"
    )


def _listed(index: Path) -> list[str]:
    """The shards that an index names."""
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return sorted({name for name in found if Path(name).name == name})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f"model.path {index.parent}: {index.name} is no index of shards (a JSON object with weight_map); copy the "
            "folder again"
        ) from None


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of the folder.

    Raises:
        ValueError: a file is missing, cannot be read, or holds something else than named tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = {}
    for file in weight_files(folder):
        try:
            part = (
                load_file(file)
                if file.suffix == ".safetensors"
                else torch.load(file, map_location="cpu", weights_only=True)
            )
        except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ValueError(
                f"model.path {folder}: {file.name} cannot be read ({reason}); download or copy it again"
            ) from None
        tensors = dict(part) if isinstance(part, dict) else {}
        if not (named := {name: item for name, item in tensors.items() if isinstance(item, torch.Tensor)}):
            raise ValueError(
                f"model.path {folder}: {file.name} holds no weights: a table of named tensors is needed, it holds a "
                f"{type(part).__name__}" + (f" of {', '.join(map(str, list(tensors)[:3]))}" if tensors else "")
            )
        found.update(named)
    return found
