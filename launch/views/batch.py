"""`kmask show batch`: what the model sees at a step: units in brackets, hidden tokens, span boundary targets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from launch.settings.components import read_config
from launch.settings.yaml_files import ConfigError
from launch.views.words import Line, Word, cells, legend

SHOWN_SAMPLES, SHOWN_TARGETS = 6, 8
EXPLAINED = (
    "SBO (span boundary objective): "
    "a hidden token = f(token left of its run, token right of it, place in the run from 0)"
)


def show_batch(file: Path, overrides: list[str], step: int) -> Iterable[Line]:
    """What the model sees at a step: units in brackets, hidden tokens in colour, SBO targets."""
    from pretrain.config import Run
    from pretrain.corpus import Corpus
    from pretrain.feed.sampling import MicroBatchSpec, Sampler
    from pretrain.stages.schedule import position, total_steps

    run = read_config(Run, file, overrides)
    corpus = Corpus(run=run)
    total = total_steps(run.stages)
    if not 0 <= step < total:
        raise ConfigError(f"the run has {total} steps, numbered from 0")
    where = position(run.stages, step)
    stage = run.stages[where.stage]
    maker = corpus.maker(stage, "train", run.masking)
    sampler = Sampler(streams=maker.streams, rows_per_step=run.step_rows(stage))
    cursors = cursors_at(run, corpus, step)
    rows, _ = sampler.step(cursors, step)
    packed = maker.packed(MicroBatchSpec(step, rows, step / total))
    real = sum(len(sample.token_ids_T) for sample in packed.samples)
    facts = f"{len(rows)} rows of {maker.row_tokens} tokens, {len(packed.samples)} samples"
    used = f"{real / len(packed.original_T):.1%} real tokens"
    yield [Word(f"step {step}, stage `{stage.name}`", "title"), Word(f"   {facts}, {used}", "dim")]
    share = len(packed.hidden.position_M) / max(int(packed.units.maskable_T.sum()), 1)
    yield [Word(f"{share:.1%} of the text is hidden", "dim")]
    yield without_colours(legend())
    yield from sample_lines(packed, corpus.tokenizer.tokens, run)


def cursors_at(run: Any, corpus: Any, step: int) -> dict[str, Any]:
    """The cursors of a fresh run at ``step``: order is a pure function, so earlier steps are counted, not built."""
    from pretrain import history

    return dict(history.cursors_at(run, corpus, step, history.anchors([], []), {}).cursors)


def sample_lines(packed: Any, vocabulary: list[str], run: Any, shown: int = SHOWN_SAMPLES) -> Iterable[Line]:
    """The first samples of a packed batch."""
    from masking.boundary import boundary_targets

    tokens = [vocabulary[index] for index in packed.original_T]
    boundary = boundary_targets(packed.spans, packed.units, 20)
    explain = False
    for index, sample in enumerate(packed.samples[:shown]):
        start = int(packed.sample_start_S[index])
        end = start + len(sample.token_ids_T)
        labels = ", ".join(f"{task} = {label}" for task, label in sample.labels.items())
        yield []
        yield [
            Word(f"{sample.document_id} from token {sample.first_token}", "title"),
            Word(f"   task {sample.task} (id {run.task_ids[sample.task]}) {labels}", "dim"),
        ]
        yield sample_drawing(packed, index, vocabulary)
        mine = (boundary.position_M >= start) & (boundary.position_M < end)
        if mine.any():
            yield [Word("SBO: " + target_words(boundary, mine, tokens), "dim")]
            explain = True
    if explain:
        yield []
        yield [Word(EXPLAINED, "dim")]


def sample_drawing(packed: Any, index: int, vocabulary: list[str]) -> Line:
    """One sample of a packed batch: its tokens, units in brackets, hidden tokens in colour."""
    from masking.display import pieces
    from masking.spans import precedence

    start = int(packed.sample_start_S[index])
    end = start + len(packed.samples[index].token_ids_T)
    tokens = [vocabulary[number] for number in packed.original_T]
    seen = [vocabulary[number] for number in packed.corrupted_T]
    unit_end_T, kind_T = packed.units.partition(precedence(packed.units.levels))
    actions = dict(zip(packed.hidden.position_M.tolist(), packed.hidden.action_M.tolist(), strict=True))
    drawn = pieces(tokens, seen, unit_end_T, kind_T, packed.spans, actions, start, end)
    return without_colours([word for cell in cells(drawn) for word in cell])


def target_words(boundary: Any, mine_M: Any, tokens: list[str]) -> str:
    """The first of the span boundary targets that ``mine_M`` (bool[M]) marks."""
    arrays = (boundary.position_M, boundary.left_M, boundary.right_M, boundary.offset_M)
    shown = zip(*(array[mine_M][:SHOWN_TARGETS] for array in arrays), strict=True)
    words = [f"{tokens[place]} = f({tokens[left]}, {tokens[right]}, {offset})" for place, left, right, offset in shown]
    return "; ".join(words) + (" ..." if int(mine_M.sum()) > SHOWN_TARGETS else "")


def without_colours(line: Line) -> Line:
    """The line with the marks that stand for colours, so that they are seen beside the colours too."""
    return [word._replace(text=word.plain or word.text) for word in line]
