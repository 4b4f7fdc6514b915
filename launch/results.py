"""`kmask eval` and `kmask export`: from a checkpoint to figures and to a Hugging Face folder."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

from launch.config import Source, decode, plain, read_config


def newest(folder: Path) -> Any:
    """The newest valid checkpoint of a run.

    Raises:
        ValueError: there is none.
    """
    from pretrain import checkpoint

    if not folder.is_dir():
        raise ValueError(f"{folder}: no such run folder. Give the `output` of a training configuration.")
    found = checkpoint.latest(folder / "checkpoints", lambda text: print(f"note: {text}", file=sys.stderr))
    if found is None:
        raise ValueError(f"{folder} holds no checkpoint yet; train first (a checkpoint is written every checkpoints.every steps)")
    return found


def run_eval(file: Path, overrides: list[str], dry_run: bool) -> int:
    """Measure the newest checkpoint on held-out documents, in this process."""
    from pretrain.config import Run

    run = read_config(Run, file, overrides)
    folder = Path(run.output)
    found = newest(folder)
    if dry_run:
        print(f"would measure {found.folder} on the held-out documents of {', '.join(data.path for data in run.data)}")
        return 0
    import torch

    from data_prep.files import write_json
    from pretrain.corpus import Corpus
    from pretrain.evaluation.heldout import evaluate
    from pretrain.setup import check_continues, saved_model
    from pretrain.tracking import readable

    corpus = Corpus(run=run)
    check_continues(found.state, run, plain(run), corpus.fingerprints)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = saved_model(run, found).to(device)
    maker = corpus.heldout_maker(run.stages[found.state.stage])
    stats = evaluate(model, maker, run.evaluation.rows, 0, 1, device)
    if stats is None:
        raise ValueError("there are no held-out documents; raise `heldout` in the data configuration and prepare again")
    values = readable(stats.cpu(), list(maker.objectives))
    print(f"step {found.state.step:,} on held-out documents ({run.evaluation.rows} rows per task and folder, fixed masks)")
    print(f"{'':22s} {'loss':>8s} {'accuracy':>9s} {'targets':>9s}")
    for name in [name.removeprefix("targets/") for name in values if name.startswith("targets/")]:
        if f"loss/{name}" in values:
            print(f"{name:22s} {values[f'loss/{name}']:8.3f} {values[f'accuracy/{name}']:9.3f} {int(values[f'targets/{name}']):9,d}")
    write_json(folder / "evaluation.json", {"step": found.state.step, **values})
    return 0


def run_export(folder: Path, target: Path, dry_run: bool) -> int:
    """Write and verify a Hugging Face folder."""
    from pretrain.config import Run

    found = newest(folder)
    run: Any = decode(Run, Source(dict(found.state.config), {}))
    if dry_run:
        print(f"would export {found.folder} to {target}")
        return 0
    from pretrain.exchange import TOLERANCE, export_run
    from pretrain.model_card import model_card
    from pretrain.schedule import learned_tasks
    from pretrain.setup import saved_model

    tensors = found.tensors(optimizer=False)
    model = saved_model(run, found)
    evaluation = folder / "evaluation.json"
    heldout = json.loads(evaluation.read_text()) if evaluation.is_file() else {}
    manifest = {
        "step": found.state.step,
        "tokens": found.state.seen["tokens"],
        "config": found.state.config,
        "encoder": found.state.encoder,
        "fingerprints": found.state.fingerprints,
        "pooler_trained": any(run.tasks[task].SENTENCE_LEVEL for task in learned_tasks(run.stages, found.state.stage)) or bool(run.model.path),
        "heldout": heldout if heldout.get("step") == found.state.step else {},
        "versions": {name: importlib.metadata.version(name) for name in ("kmask", "torch", "transformers", "deepspeed", "tokenizers")},
        "tolerance": TOLERANCE,
    }
    worst = export_run(tensors, model, folder / "tokenizer", target, model_card(target.name, manifest), manifest)
    print(
        f"{target}: exported step {found.state.step:,}; reloaded with AutoModel, AutoModelForMaskedLM and AutoTokenizer, largest logit difference {worst:.1e}"
    )
    return 0
