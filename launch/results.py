"""`kmask eval` and `kmask export`: from a checkpoint to figures and to a Hugging Face folder.

    run_eval     held-out rows of all learned tasks  ->  a table or JSON, and RUN/evaluation.json
    run_export   weights, tokenizer and model card   ->  a folder that is published when it gives the training model's logits

stdout holds the result alone; what else is to be said goes to stderr.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.saved_runs import Wanted, opened, tell, wanted

LIBRARIES = ("kmask", "torch", "transformers", "deepspeed", "tokenizers")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|multilingual")
COLUMNS = {"loss": "{:.3f}", "accuracy": "{:.3f}", "majority": "{:.3f}", "targets": "{:,.0f}"}


def run_eval(target: Path, overrides: Sequence[str], step: int | None, as_json: bool, dry_run: bool) -> int:
    """Measure a checkpoint on held-out documents, in this process."""
    what = wanted(target, overrides, step)
    with contextlib.redirect_stdout(sys.stderr):
        result = _measured(what, dry_run)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    elif dry_run:
        print(f"would measure {result['checkpoint']} on the held-out documents of {', '.join(result['data'])}")
    else:
        print(f"step {result['step']:,} on held-out documents ({result['rows']} rows per task and folder, fixed masks)")
        print("\n".join(table(result["values"], result["tasks"])))
    return 0


def _measured(what: Wanted, dry_run: bool) -> dict[str, Any]:
    import torch

    from data_prep.files import sha256_file, write_json
    from pretrain.corpus import Corpus
    from pretrain.evaluation.heldout import evaluate
    from pretrain.metrics.lines import finite
    from pretrain.processes.world import World
    from pretrain.setup import saved_model

    def read(found: Any) -> tuple[Any, Corpus, Any, str]:
        run = what.config(found.state)
        corpus = _corpus(run)
        what.check(found.state, run, corpus.fingerprints)
        return found, corpus, None if dry_run else saved_model(run, found), sha256_file(found.folder / "state.json")

    (found, corpus, model, digest), passed_over = opened(what, read)
    run = corpus.run
    tasks = list(found.state.learned)
    result = {"run": str(what.folder), "checkpoint": str(found.folder), "step": found.state.step, "passed_over": passed_over}
    result |= {"rows": run.evaluation.rows, "data": [data.path for data in run.data], "tasks": tasks}
    if dry_run:
        return result
    world = World(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    measured = evaluate(model.to(world.device), corpus.heldout(tasks), run.evaluation.rows, world)
    if measured is None:
        raise ValueError("there are no held-out documents; raise `heldout` in the data configuration and prepare again")
    values = finite(measured.values(world))
    try:
        write_json(what.folder / "evaluation.json", {"step": found.state.step, "checkpoint": digest, "rows": run.evaluation.rows, **values})
    except OSError as error:
        tell(f"{what.folder / 'evaluation.json'} could not be written ({error.strerror}); the figures stand below only")
    return {**result, "values": values}


def _corpus(run: Any) -> Any:
    """The prepared folders of a configuration.

    Raises:
        ValueError: one of them is not there.
    """
    from pretrain.corpus import Corpus

    for index, data in enumerate(run.data):
        if not Path(data.path).is_dir():
            raise ValueError(
                f"data {data.label}: the prepared folder {data.path} is not there (looked from {Path.cwd()}), and its held-out documents are "
                f"what is measured. Put it back, or give the training YAML with data.{index}.path=WHERE_IT_IS_NOW."
            )
    return Corpus(run=run)


def table(values: Mapping[str, Any], tasks: Sequence[str]) -> list[str]:
    """Lines of figures: the tasks, then the kinds of units; `majority` is what always answering the most frequent class would get."""
    names = [name.removeprefix("targets/") for name in values if name.startswith("targets/")]
    columns = [column for column in COLUMNS if any(f"{column}/{name}" in values for name in names)]
    width = max(map(len, [*names, ""])) + 2
    lines = [" " * width + "".join(f"{column:>10s}" for column in columns)]
    for name in [*tasks, *(name for name in names if name not in tasks)]:
        cells = [values.get(f"{column}/{name}") for column in columns]
        if any(cells):
            shown = ["" if cell is None else COLUMNS[column].format(cell) for column, cell in zip(columns, cells, strict=True)]
            lines.append(f"{name:{width}s}" + "".join(f"{cell:>10s}" for cell in shown))
    return lines


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
    what = wanted(target, overrides, step)
    with contextlib.redirect_stdout(sys.stderr):
        result = _exported(what, folder, licence.strip(), languages, dry_run, companions)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    elif dry_run:
        print(f"would export {result['checkpoint']} to {folder}")
    else:
        classes, what_of = ("AutoModel, AutoModelForMaskedLM", "logit") if "knowledge_masking" in result["tasks"] else ("AutoModel", "hidden state")
        worst = result["largest_logit_difference"]
        print(f"{folder}: exported step {result['step']:,}; reloaded with {classes} and AutoTokenizer, largest {what_of} difference {worst:.1e}")
    return 0


def _exported(what: Wanted, folder: Path, licence: str, languages: Sequence[str], dry_run: bool, companions: bool) -> dict[str, Any]:
    from data_prep.files import sha256_file
    from pretrain.setup import saved_model
    from pretrain.state.card_facts import describe
    from pretrain.state.exporting import TOLERANCE, export_run
    from pretrain.state.model_card import model_card

    tokenizer = what.folder / "tokenizer"
    if not (tokenizer / "tokenizer.json").is_file():
        raise ValueError(f"{tokenizer} holds no tokenizer.json; copy the `tokenizer` folder of the prepared folder there")

    def read(found: Any) -> tuple[Any, Any, Any, str]:
        run = what.config(found.state)
        what.check(found.state, run, {})  # the data may be gone, or prepared again
        weights, model = (None, None) if dry_run else (found.tensors(optimizer=False), saved_model(run, found))
        return found, weights, model, sha256_file(found.folder / "state.json")

    (found, weights, model, digest), passed_over = opened(what, read)
    state = found.state
    result = {"run": str(what.folder), "checkpoint": str(found.folder), "step": state.step, "passed_over": passed_over, "folder": str(folder)}
    result["tasks"] = list(state.learned)
    if dry_run:
        return result
    card = describe(folder.resolve().name, what.folder, state, licence=licence, languages=languages, digest=digest)
    if not card.licence:
        tell("no licence is stated; give --license to name one")
    manifest = {name: getattr(state, name) for name in ("step", "config", "encoder", "fingerprints", "done", "learned", "seen", "source", "machine")}
    manifest |= {"languages": list(card.languages), "pooler": card.pooler, "heldout": dict(card.heldout), "tolerance": TOLERANCE}
    manifest["versions"] = {name: importlib.metadata.version(name) for name in LIBRARIES}
    worst = export_run(weights, model, tokenizer, folder, model_card(card), manifest, companions)
    facts = {"languages": list(card.languages), "license": card.licence.get("license"), "base_model": card.base or None, "pooler": card.pooler}
    return {**result, **facts, "largest_logit_difference": worst, "tolerance": TOLERANCE}
