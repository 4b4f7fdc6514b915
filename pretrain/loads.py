"""What the stages of a run ask of a process: found from a row of every stream and the shapes of the model.

stage_load(...)     rows --observe (flops.py)--> passes of encoders --> Load: activations, operations of a token
Beginnings          the weights that a stage keeps as they were when it began (optimization.average_stages)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.sampling import Cursor, MicroBatchSpec
from pretrain.flops import observe, work
from pretrain.forgetting import BEGIN, old_parts, part_of, parts_of
from pretrain.model import PretrainingModel
from pretrain.objectives import WORDS
from pretrain.progress import Progress
from pretrain.sizes import Micro, activation_estimate, vocabulary_activations
from pretrain.stages.schedule import total_steps
from pretrain.state.checkpoint import Checkpoint


class Load(NamedTuple):
    """What the micro-batches of a stage ask of a process; all 0 for a stage that has ended."""

    activations: int = 0
    """Estimated bytes of what is kept for the backward pass, those of the vocabulary and DeepSpeed's buffer
    included."""
    vocabulary: int = 0
    """Of these, what is predicted over the vocabulary."""
    flops: float = 0.0
    """Operations of a real token, forward and backward (flops.py)."""
    real_share: float = 0.0
    """Of the positions, those that hold text."""


class Beginnings:
    """The weights that stages keep as they were at their beginning, under optimization.average_stages."""

    def __init__(
        self, run: Run, progress: Progress, newest: Checkpoint | None, elsewhere: bool, source: Mapping[str, Any]
    ) -> None:
        self.run, self.newest, self.source, self.begun = run, newest, source, len(progress.done)
        self.elsewhere = elsewhere
        self.pooled = progress.pooled > 0 or bool(source.get("pooler"))

    def kept(self, index: int, before: PretrainingModel) -> dict[str, tuple[int, ...]]:
        """Their shapes in a stage whose model grows out of ``before``."""
        if not self.run.optimization.average_stages:
            return {}
        trained = any(self.run.tasks[task].TRAINS_POOLER for stage in self.run.stages[:index] for task in stage.tasks)
        if index < self.begun and self.newest:
            return _saved(self.newest)
        shapes = {name: tuple(parameter.shape) for name, parameter in before.named_parameters()}
        if index or self.newest or self.elsewhere:
            old = old_parts(parts_of(shapes), self.pooled or trained)
        else:
            old = old_parts(self.source.get("parts", ()), self.pooled)
        return {name: shape for name, shape in shapes.items() if part_of(name) in old}


def _saved(newest: Checkpoint) -> dict[str, tuple[int, ...]]:
    """The weights at the beginning of a stage that a checkpoint in its middle holds."""
    from safetensors import safe_open

    with safe_open(newest.folder / "optimizer.safetensors", "pt") as file:
        names = [name for name in file.keys() if name.endswith(BEGIN)]  # noqa: SIM118 (no mapping)
        return {name.removesuffix(BEGIN): tuple(file.get_slice(name).get_shape()) for name in names}


def stage_load(
    run: Run, corpus: Corpus, index: int, progress: Progress, model: PretrainingModel, gpu: bool, notes: list[str]
) -> Load:
    """Build a row of every stream of a stage and look at what its tasks do with them."""
    rows, maker = (
        run.batch_of(run.stages[index]).rows_per_process,
        corpus.maker(run.stages[index], "train", run.masking),
    )
    corpus.heldout(list(maker.objectives))
    predicting = [name for name in maker.objectives if WORDS in run.tasks[name].tied(name).values()]
    predicted, real, flops, whole = 0, 0.0, 0.0, sum(stream.share for stream in maker.streams.values())
    for name, stream in maker.streams.items():
        row, _ = stream.next(progress.cursors.get(name, Cursor()))
        batch = maker[MicroBatchSpec(progress.step, [row], progress.step / total_steps(run.stages))]
        predicted = max(predicted, sum(len(batch.targets[task]["label"]) for task in predicting))
        seen = observe(model, batch, list(maker.objectives))
        real += stream.share / whole * batch.real_tokens
        flops += stream.share / whole * work(seen, batch).of(batch.real_tokens, batch.pairs, batch.counts)
    notes += [
        f"what task {task} encodes is not counted exactly: its loss looks at the numbers of a batch"
        for task in seen.unknown
    ]
    own = [encoder for encoder in seen.encodings if encoder is model.ernie]
    others = [encoder.config for encoder in seen.encodings if encoder is not model.ernie]
    micro = Micro(
        tokens=rows * maker.row_tokens,
        longest=maker.max_sample_tokens,
        predicted=rows * predicted,
        passes=len(own),
    )
    return Load(
        activations=activation_estimate(model.config, micro, run.engine, gpu, others),
        vocabulary=vocabulary_activations(model.config, micro),
        flops=flops / max(real, 1.0),
        real_share=real / maker.row_tokens,
    )
