"""`kmask eval`: held-out rows of all learned tasks -> a table or JSON on stdout, and RUN/evaluation.json.

stdout holds the result alone; what else is to be said goes to stderr. An exported folder is measured too, and
stays as it was verified.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.outcomes.saved_runs import ChosenRun, choose_run, open_checkpoint, tell
from launch.shell.exit_codes import DONE

COLUMNS = {"loss": "{:.3f}", "accuracy": "{:.3f}", "majority": "{:.3f}", "targets": "{:,.0f}"}


def run_eval(target: Path, overrides: Sequence[str], step: int | None, as_json: bool, dry_run: bool) -> int:
    """Measure a checkpoint on held-out documents, in this process."""
    chosen = choose_run(target, overrides, step, exports=True)
    with contextlib.redirect_stdout(sys.stderr):
        result = _measured(chosen, dry_run)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    elif dry_run:
        print(f"would measure {result['checkpoint']} on the held-out documents of {', '.join(result['data'])}")
    else:
        print(f"step {result['step']:,} on held-out documents ({result['rows']} rows per task and folder, fixed masks)")
        print("\n".join(figure_lines(result["values"], result["tasks"])))
    return DONE


def _measured(chosen: ChosenRun, dry_run: bool) -> dict[str, Any]:
    import torch

    from data_prep.files import sha256_file, write_json
    from pretrain.corpus import Corpus
    from pretrain.evaluation.heldout import evaluate
    from pretrain.metrics.lines import finite
    from pretrain.processes.world import World
    from pretrain.setup import saved_model

    def read(found: Any) -> tuple[Any, Corpus, Any, str]:
        run = chosen.config(found.state)
        corpus = _corpus(run)
        contents = {name: digest.partition(" ")[0] for name, digest in corpus.fingerprints.items()}  # in any order
        chosen.check(found.state, run, contents)
        return found, corpus, None if dry_run else saved_model(run, found), sha256_file(found.state_file)

    (found, corpus, model, digest), passed_over = open_checkpoint(chosen, read)
    run = corpus.run
    tasks = list(found.state.learned)
    result = {
        "run": str(chosen.folder),
        "checkpoint": str(found.folder),
        "step": found.state.step,
        "passed_over": passed_over,
    }
    result |= {"rows": run.evaluation.rows, "data": [data.path for data in run.data], "tasks": tasks}
    if dry_run:
        return result
    world = World(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    measured = evaluate(model.to(world.device), corpus.heldout(tasks), run.evaluation.rows, world)
    if measured is None:
        raise ValueError("there are no held-out documents; raise `heldout` in the data configuration and prepare again")
    values = finite(measured.values(world))
    kept = {"step": found.state.step, "checkpoint": digest, "rows": run.evaluation.rows, **values}
    try:
        if not chosen.export:
            write_json(chosen.folder / "evaluation.json", kept)
    except OSError as error:
        tell(
            f"{chosen.folder / 'evaluation.json'} could not be written ({error.strerror}); the figures stand below only"
        )
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
                f"data {data.label}: the prepared folder {data.path} is not there (looked from {Path.cwd()}), "
                "and its held-out documents are "
                f"what is measured. Put it back, or give the training YAML with data.{index}.path=WHERE_IT_IS_NOW."
            )
    return Corpus(run=run)


def figure_lines(values: Mapping[str, Any], tasks: Sequence[str]) -> list[str]:
    """Lines of figures: the tasks, then the kinds of units; `majority`: always answering the most frequent class."""
    names = [name.removeprefix("targets/") for name in values if name.startswith("targets/")]
    columns = [column for column in COLUMNS if any(f"{column}/{name}" in values for name in names)]
    width = max(map(len, [*names, ""])) + 2
    lines = [" " * width + "".join(f"{column:>10s}" for column in columns)]
    for name in [*tasks, *(name for name in names if name not in tasks)]:
        cells = [values.get(f"{column}/{name}") for column in columns]
        if any(cells):
            shown = [
                "" if cell is None else COLUMNS[column].format(cell)
                for column, cell in zip(columns, cells, strict=True)
            ]
            lines.append(f"{name:{width}s}" + "".join(f"{cell:>10s}" for cell in shown))
    return lines
