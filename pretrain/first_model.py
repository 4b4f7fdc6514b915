"""The model that a stage begins with: new, grown out of a checkpoint, or of a Hugging Face folder.

    stage_model(...)  ->  model and the parts of it that existed before

A model of a folder is compared with plain transformers before the first step (first_loss.py), by rank 0.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.first_loss import check_first_loss
from pretrain.forgetting import parts_of
from pretrain.model import PretrainingModel
from pretrain.processes.heartbeat import doing
from pretrain.processes.world import World
from pretrain.progress import Progress
from pretrain.setup import grown_model, start_model
from pretrain.state.checkpoint import Snapshot
from pretrain.warm_up import hold_still, warm_up_end


def stage_model(
    run: Run,
    index: int,
    corpus: Corpus,
    snapshot: Snapshot | None,
    progress: Progress,
    world: World,
    say: Callable[[str], None],
) -> tuple[PretrainingModel, Collection[str]]:
    """The model of a stage, and the parts of it that existed before; a collective.

    Raises:
        ValueError: on every rank: model.path cannot be read, or computes something else here than there.
    """
    if snapshot is None:
        model, present = _of_folder(run, corpus, progress, world, say)
    else:
        model, present = grown_model(run, index, snapshot), parts_of(snapshot.tensors)
    if progress.step < warm_up_end(run, progress.source):
        say(hold_still(model, run, progress.source))
    return model, present


def _of_folder(
    run: Run, corpus: Corpus, progress: Progress, world: World, say: Callable[[str], None]
) -> tuple[PretrainingModel, Collection[str]]:
    """A new model, or that of the folder at model.path, compared with plain transformers."""
    fault: Exception | None = None
    try:
        model, progress.source, told = start_model(run, corpus.tokenizer)
        if told:
            say(told)
        if run.model.path and world.rank == 0:
            doing("comparing with plain transformers")
            prepared = next(iter(corpus.prepared.values()))
            say(check_first_loss(model, Path(run.model.path), prepared, progress.source["masked_lm"]))
    except (ValueError, OSError) as error:
        fault = error
    world.all_or_none(fault)
    return model, progress.source.get("parts", ())
