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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.outcomes.saved_runs import ChosenRun, choose_run, open_checkpoint, tell
from launch.settings.components import decode
from launch.settings.yaml_files import Source
from launch.shell.exit_codes import DONE

LIBRARIES = ("kmask", "torch", "transformers", "deepspeed", "tokenizers")
RECORDED = ("step", "config", "encoder", "fingerprints", "done", "learned", "task_ids", "seen", "source", "machine")
"""What the manifest takes over from the state of the checkpoint."""
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|multilingual")
DTYPES = ("fp32", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class How:
    """What kind of folder is written."""

    formats: Sequence[str] = ()
    """Files of pretrain/formats, with - for _."""
    dtype: str = "fp32"
    pooling: str | None = None
    """Of sentence-transformers."""
    normalize: bool | None = None
    """Of sentence-transformers."""

    def decoded(self) -> list[Any]:
        """The formats as components.

        Raises:
            ValueError: a name, a dtype or an option that there is not.
        """
        from pretrain.formats import Format

        if self.dtype not in DTYPES:
            raise ValueError(f"--dtype: {self.dtype!r} is none of {', '.join(DTYPES)}")
        kinds = [name.replace("-", "_") for name in self.formats]
        options = {"pooling": self.pooling, "normalize": self.normalize}
        given = {name: value for name, value in options.items() if value is not None}
        if given and "sentence_transformers" not in kinds:
            raise ValueError(f"--{next(iter(given))}: only the format sentence-transformers has it")
        own = {"sentence_transformers": given}
        values = [{"kind": kind, **own.get(kind, {})} for kind in kinds]
        return [decode(Format, Source(value, {})) for value in values]  # type: ignore[type-abstract]


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
    how: How | None = None,
) -> int:
    """Write and verify a folder; needs neither the data nor the start checkpoint."""
    wrong = [code for code in languages if not LANGUAGE.fullmatch(code)]
    if wrong:
        raise ValueError(f"--language: {wrong[0]!r} is not a language code; write it as zh, en or multilingual")
    if folder.exists():
        raise ValueError(f"{folder} exists already; delete it or choose another folder")
    chosen = choose_run(target, overrides, step)
    with contextlib.redirect_stdout(sys.stderr):
        result = _exported(chosen, folder, licence.strip(), languages, dry_run, companions, how or How())
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    elif dry_run:
        print(f"would export {result['checkpoint']} to {folder}")
    else:
        masked = "knowledge_masking" in result["tasks"]
        classes = ", ".join(name for name in result["verified"] if "Classification" not in name)
        worst = f"largest {'logit' if masked else 'hidden state'} difference {result['largest_logit_difference']:.1e}"
        print(f"{folder}: exported step {result['step']:,}; reloaded with {classes} and AutoTokenizer, {worst}")
    return DONE


def _exported(
    chosen: ChosenRun, folder: Path, licence: str, languages: Sequence[str], dry_run: bool, companions: bool, how: How
) -> dict[str, Any]:
    from data_prep.files import sha256_file
    from pretrain import exporting
    from pretrain.adapted import plain_model, plain_weights
    from pretrain.state.card_facts import describe
    from pretrain.state.export_parts import BOUNDS
    from pretrain.state.model_card import model_card

    formats = how.decoded()
    exporting.check_formats(formats)
    tokenizer = chosen.folder / "tokenizer"
    if not (tokenizer / "tokenizer.json").is_file():
        raise ValueError(
            f"{tokenizer} holds no tokenizer.json; copy the `tokenizer` folder of the prepared folder there"
        )

    def read(found: Any) -> tuple[Any, Any, Any, str]:
        run = chosen.config(found.state)
        chosen.check(found.state, run, {})  # the data may be gone, or prepared again
        return found, run, found.weights(), sha256_file(found.state_file)

    (found, run, weights, digest), passed_over = open_checkpoint(chosen, read)
    state = found.state
    result = {"run": str(chosen.folder), "checkpoint": str(found.folder), "step": state.step}
    result |= {"passed_over": passed_over, "folder": str(folder), "tasks": list(state.learned)}
    result |= {"formats": [exporting.name_of(item) for item in formats], "dtype": how.dtype}
    if dry_run:
        return result
    card = describe(folder.resolve().name, chosen.folder, state, licence=licence, languages=languages, digest=digest)
    if not card.licence:
        tell("no licence is stated; give --license to name one")
    manifest = {name: getattr(state, name) for name in RECORDED}
    manifest |= {"languages": list(card.languages), "pooler": card.pooler, "heldout": dict(card.heldout)}
    manifest |= {"tolerance": BOUNDS[how.dtype], "versions": versions()}
    plain = plain_weights(run, weights)
    source = exporting.Source(weights=plain, model=lambda: plain_model(run, found), tokenizer=tokenizer)
    verified = exporting.export_run(
        source, folder, lambda made: model_card(card, made), manifest, formats, how.dtype, companions
    )
    result |= export_adapter(run, found, tokenizer, folder, BOUNDS[how.dtype])
    result |= {"languages": list(card.languages), "license": card.licence.get("license"), "verified": verified}
    result |= {"base_model": card.base or None, "pooler": card.pooler}
    return {**result, "largest_logit_difference": max(verified.values()), "tolerance": BOUNDS[how.dtype]}


def export_adapter(run: Any, found: Any, tokenizer: Path, folder: Path, allowed: float) -> dict[str, Any]:
    """The adapter of a run beside its export, where it has one that is kept apart."""
    from pretrain.setup import saved_model
    from pretrain.state.adapter_files import adapter_folder, write_adapter

    if not (run.model.adapter and run.model.adapter.BESIDE):
        return {}
    model = saved_model(run, found)
    worst = write_adapter(run.model.adapter, model, tokenizer, folder, found.state.step, allowed)
    tell(f"{adapter_folder(folder)}: the adapter; largest difference of a hidden state {worst:.1e}")
    return {"adapter": {"folder": str(adapter_folder(folder)), "largest_difference": worst}}


def versions() -> dict[str, str]:
    """Of what made the export."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
