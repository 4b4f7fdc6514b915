"""`kmask export`: weights, tokenizer and model card -> a folder, published when it gives the training model's logits.

stdout holds the result alone; what else is to be said goes to stderr.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch.outcomes.saved_runs import ChosenRun, choose_run, open_checkpoint, tell
from launch.shell.exit_codes import DONE

LIBRARIES = ("kmask", "torch", "transformers", "deepspeed", "tokenizers")
RECORDED = ("step", "config", "encoder", "fingerprints", "done", "learned", "task_ids", "seen", "source", "machine")
"""What the manifest takes over from the state of the checkpoint."""
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|multilingual")


def run_export(
    target: Path,
    folder: Path,
    overrides: Sequence[str],
    step: int | None,
    licence: str,
    languages: Sequence[str],
    as_json: bool,
    dry_run: bool,
    companions: bool = False,
) -> int:
    """Write and verify a Hugging Face folder; needs neither the data nor the start checkpoint."""
    wrong = [code for code in languages if not LANGUAGE.fullmatch(code)]
    if wrong:
        raise ValueError(f"--language: {wrong[0]!r} is not a language code; write it as zh, en or multilingual")
    if folder.exists():
        raise ValueError(f"{folder} exists already; delete it or choose another folder")
    chosen = choose_run(target, overrides, step)
    with contextlib.redirect_stdout(sys.stderr):
        result = _exported(chosen, folder, licence.strip(), languages, dry_run, companions)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    elif dry_run:
        print(f"would export {result['checkpoint']} to {folder}")
    else:
        masked = "knowledge_masking" in result["tasks"]
        classes, what = ("AutoModel, AutoModelForMaskedLM", "logit") if masked else ("AutoModel", "hidden state")
        worst = f"largest {what} difference {result['largest_logit_difference']:.1e}"
        print(f"{folder}: exported step {result['step']:,}; reloaded with {classes} and AutoTokenizer, {worst}")
    return DONE


def _exported(
    chosen: ChosenRun, folder: Path, licence: str, languages: Sequence[str], dry_run: bool, companions: bool
) -> dict[str, Any]:
    from data_prep.files import sha256_file
    from pretrain.adapted import plain_model, plain_weights
    from pretrain.state.card_facts import describe
    from pretrain.state.export_parts import TOLERANCE
    from pretrain.state.exporting import export_run
    from pretrain.state.model_card import model_card

    tokenizer = chosen.folder / "tokenizer"
    if not (tokenizer / "tokenizer.json").is_file():
        raise ValueError(
            f"{tokenizer} holds no tokenizer.json; copy the `tokenizer` folder of the prepared folder there"
        )

    def read(found: Any) -> tuple[Any, Any, Any, str]:
        run = chosen.config(found.state)
        chosen.check(found.state, run, {})  # the data may be gone, or prepared again
        weights, model = (None, None) if dry_run else (found.tensors(optimizer=False), plain_model(run, found))
        return found, weights, (run, model), sha256_file(found.folder / "state.json")

    (found, weights, (run, model), digest), passed_over = open_checkpoint(chosen, read)
    state = found.state
    result = {"run": str(chosen.folder), "checkpoint": str(found.folder), "step": state.step}
    result |= {"passed_over": passed_over, "folder": str(folder), "tasks": list(state.learned)}
    if dry_run:
        return result
    card = describe(folder.resolve().name, chosen.folder, state, licence=licence, languages=languages, digest=digest)
    if not card.licence:
        tell("no licence is stated; give --license to name one")
    manifest = {name: getattr(state, name) for name in RECORDED}
    manifest |= {"languages": list(card.languages), "pooler": card.pooler, "heldout": dict(card.heldout)}
    manifest |= {"tolerance": TOLERANCE, "versions": {name: importlib.metadata.version(name) for name in LIBRARIES}}
    plain = plain_weights(run, weights)
    worst = export_run(plain, model, tokenizer, folder, model_card(card), manifest, companions)
    if run.model.adapter and run.model.adapter.BESIDE:
        result["adapter"] = export_adapter(run, found, weights, tokenizer, folder)
    result |= {"languages": list(card.languages), "license": card.licence.get("license")}
    result |= {"base_model": card.base or None, "pooler": card.pooler}
    return {**result, "largest_logit_difference": worst, "tolerance": TOLERANCE}


def export_adapter(run: Any, found: Any, weights: Any, tokenizer: Path, folder: Path) -> dict[str, Any]:
    """The adapter of a run beside its export."""
    from pretrain.setup import saved_model
    from pretrain.state.adapter_files import adapter_folder, write_adapter

    worst = write_adapter(run.model.adapter, weights, saved_model(run, found), tokenizer, folder, found.state.step)
    tell(f"{adapter_folder(folder)}: the adapter; largest difference of a hidden state {worst:.1e}")
    return {"folder": str(adapter_folder(folder)), "largest_difference": worst}
