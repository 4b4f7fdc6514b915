"""To Hugging Face folders: what AutoModel, AutoModelForMaskedLM and AutoTokenizer read, with nothing of ours in
between.

    export_run(tensors, model, ...)  config.json, model.safetensors, tokenizer, README.md, training_manifest.json ->
                                     verify -> published
    verify(folder, model)            the folder reloaded: the same logits as the training model on fixed sentences, or
                                     an error

The encoder is transformers' ErnieModel, so export copies tensors. Heads that ErnieForMaskedLM has no place for go to
auxiliary_heads.safetensors; a run that never learned knowledge masking has no masked-LM head, and AutoModel alone reads
its export. config.json is for who fine-tunes: dropout as the start checkpoint had it, and no number of labels.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from data_prep.files import staged_folder
from pretrain.state.companions import companion_folder, companions_of, write
from pretrain.state.export_parts import SENTENCES, TOLERANCE, exported_config, one_sample, write_tokenizer
from pretrain.state.importing import MLM_HEAD

AUXILIARY = "auxiliary_heads.safetensors"


def split_export(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights of a training checkpoint as (Hugging Face names, heads that have no place there)."""
    main: dict[str, torch.Tensor] = {}
    auxiliary: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("ernie."):
            main[name] = tensor
        elif name.startswith(MLM_HEAD):
            main["cls.predictions." + name.removeprefix(MLM_HEAD)] = tensor
        else:
            auxiliary[name.removeprefix("heads.")] = tensor
    return main, auxiliary


def export(
    tensors: Mapping[str, torch.Tensor],
    config: Any,
    tokenizer_folder: Path,
    folder: Path,
    card: str,
    manifest: Mapping[str, Any],
) -> None:
    """Write the folder; the caller verifies it before it is published under its name."""
    from safetensors.torch import save_file

    main, auxiliary = split_export(tensors)
    masked_lm = any(name.startswith(MLM_HEAD) for name in tensors)
    values = exported_config(config.to_dict(), manifest.get("source", {}).get("config", {}), masked_lm)
    (folder / "config.json").write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    save_file(
        {name: tensor.contiguous() for name, tensor in main.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    if auxiliary:
        save_file({name: tensor.contiguous() for name, tensor in auxiliary.items()}, folder / AUXILIARY)
    write_tokenizer(tokenizer_folder, folder, config.max_position_embeddings)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors creates private files
    (folder / "README.md").write_text(card, encoding="utf-8")
    (folder / "training_manifest.json").write_text(
        json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )


@torch.no_grad()
def training_output(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """What an export must give again for one sample (T,): vocabulary logits (T, V), or hidden states (T, D) where
    nothing learned to give logits."""
    from pretrain.network.encoder import encode

    model.eval()
    hidden_TD = encode(model.ernie, one_sample(ids))
    output: torch.Tensor = (
        model.heads["knowledge_masking"](hidden_TD) if "knowledge_masking" in model.heads else hidden_TD
    )
    return output


@torch.no_grad()
def verify(folder: Path, model: Any) -> float:
    """Reload an exported folder with the Auto classes and compare logits with the training model.

    Returns:
        The largest absolute difference over SENTENCES.

    Raises:
        ValueError: a class cannot load it completely, or logits differ by more than TOLERANCE.
    """
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()  # what is missing is checked below, what is left over is known
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    missing, reloaded = list(info["missing_keys"]), None
    if "knowledge_masking" in model.heads:
        reloaded, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
        missing += [
            name for name in info["missing_keys"] if "decoder" not in name
        ]  # transformers ties it to the embeddings
        reloaded.eval()
    if missing:
        raise ValueError(f"export refused: the reloaded model lacks {', '.join(missing[:5])}")
    encoder.eval()
    worst = 0.0
    for sentence in SENTENCES:
        inputs = tokenizer(sentence, return_tensors="pt", truncation=True)
        ours, hidden = training_output(model, inputs["input_ids"][0]), encoder(**inputs).last_hidden_state
        if reloaded is None:
            worst = max(worst, float((hidden[0] - ours).abs().max()))
            continue
        worst = max(worst, float((reloaded(**inputs).logits[0] - ours).abs().max()))
        worst = max(worst, float((reloaded.ernie(**inputs).last_hidden_state - hidden).abs().max()))
    if not worst <= TOLERANCE:
        what = "logits" if reloaded is not None else "hidden states"
        raise ValueError(
            f"export refused: {what} of the reloaded model differ from the training model by {worst:.2e} (allowed "
            f"{TOLERANCE:.0e})"
        )
    return worst


def export_run(
    tensors: Mapping[str, torch.Tensor],
    model: Any,
    tokenizer_folder: Path,
    target: Path,
    card: str,
    manifest: Mapping[str, Any],
    companions: bool = False,
) -> float:
    """Export to ``target``, verified before it appears under that name. Returns the largest difference of a logit (or
    hidden state).

    Args:
        manifest: what training_manifest.json will hold; its ``source`` says what the start checkpoint's config.json
        was. companions: also export second encoders of heads, to folders beside it (companions.py); all folders appear,
        or none.

    Raises:
        ValueError: the target is there already, or the reloaded model is not the trained one.
    """
    found = companions_of(model) if companions else {}
    places = {key: companion_folder(target, *key) for key in found}
    there = [path for path in (target, *places.values()) if path.exists()]
    if there:
        raise ValueError(f"{there[0]} exists already; delete it or choose another folder")
    with contextlib.ExitStack() as stack:
        staging = stack.enter_context(staged_folder(target))
        export(tensors, model.config, tokenizer_folder, staging, card, manifest)
        differences = [verify(staging, model)]
        for (task, name), module in found.items():
            folder = stack.enter_context(staged_folder(places[task, name]))
            differences.append(write(module, task, name, tokenizer_folder, target, folder, manifest))
        return max(differences)
