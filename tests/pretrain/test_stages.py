"""Stages whose tasks have shares, iterations or tokens: every row is counted, sums that cannot be are refused with
their numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch.manual.reference import reference
from launch.settings.components import decode, load, plain
from launch.settings.schema import schema
from launch.views.schedule import show_schedule
from pretrain.config import Run
from pretrain.continuing import compare
from pretrain.corpus import Corpus
from pretrain.feed.sampling import Sampler
from pretrain.stages.schedule import Amount, Stage, apportion
from pretrain.state.checkpoint import State


def run_of(file: Path, stages: str, *overrides: str) -> Run:
    """The tiny run (rows of 256 positions, 4 of them a step) with other stages."""
    source = load(file, [f"stages={stages}", *overrides])
    source.value["tasks"].pop("span_boundary", None)
    return decode(Run, source)


def served(run: Run, stage: int = 0) -> Counter[str]:
    """Rows that each stream gets in a stage."""
    streams = Corpus(run=run).streams(run.stages[stage], "train")
    sampler = Sampler(streams=streams, rows_per_step=run.batch.rows_per_step)
    cursors: dict[str, Any] = {}
    for _ in range(run.stages[stage].steps):
        _, cursors = sampler.step(cursors)
    return Counter({name: cursor.served for name, cursor in cursors.items()})


def test_steps_are_those_that_the_counted_rows_fill(tiny_run: Path) -> None:
    run = run_of(
        tiny_run, "[{name: a, tasks: {knowledge_masking: {iterations: 7}, sentence_reordering: {tokens: 2_000}}}]"
    )
    assert run.stages[0].steps == 9  # 28 rows and 8 rows (2,000 positions fill 7.8)
    assert run.rows_of(run.stages[0]) == {"knowledge_masking": 28, "sentence_reordering": 8}
    assert served(run) == {"demo/knowledge_masking": 28, "demo/sentence_reordering": 8}
    again = decode(Run, load_plain(run))
    assert plain(again) == plain(run)


def load_plain(run: Run) -> Any:
    from launch.settings.components import Source

    return Source(plain(run), {})


def test_shares_divide_what_the_counts_leave(tiny_run: Path, prepared: Path) -> None:
    tasks = "{knowledge_masking: 2, sentence_reordering: {iterations: 3}, other: {share: 1}}"
    data = f"data=[{{path: {prepared}, name: a, weight: 1}}, {{path: {prepared}, name: b, weight: 2.7}}]"
    run = run_of(
        tiny_run,
        f"[{{name: one, steps: 20, tasks: {tasks}}}]",
        "tasks.other={kind: sentence_reordering, segments: 2}",
        data,
    )
    assert run.rows_of(run.stages[0]) == {"knowledge_masking": 45, "sentence_reordering": 12, "other": 23}
    found = served(run)
    assert sum(found.values()) == 80
    for task, rows in run.rows_of(run.stages[0]).items():
        assert found[f"a/{task}"] + found[f"b/{task}"] == rows and found[f"a/{task}"] == round(rows / 3.7)


@pytest.mark.parametrize("shares", [(1, 1, 1), (3, 1, 1), (0.31, 0.5, 7), (1, 1e-3, 2)])
def test_plain_shares_are_kept_to_less_than_a_row(tiny_run: Path, shares: tuple[float, ...]) -> None:
    tasks = dict(zip(("knowledge_masking", "sentence_reordering", "other"), shares, strict=True))
    run = run_of(tiny_run, f"[{{name: one, steps: 33, tasks: {tasks}}}]", "tasks.other={kind: sentence_reordering}")
    for task, rows in run.rows_of(run.stages[0]).items():
        assert abs(served(run)[f"demo/{task}"] - rows) < 1


@given(st.dictionaries(st.integers(), st.floats(0.001, 1000), min_size=1, max_size=6), st.integers(0, 1000))
def test_apportioned_rows_sum_to_the_whole_and_are_the_exact_ones_rounded(
    weights: dict[Any, float], whole: int
) -> None:
    found, total = apportion(weights, whole), sum(weights.values())
    assert sum(found.values()) == whole
    assert all(abs(found[name] - weight * whole / total) < 1 + 1e-6 for name, weight in weights.items())


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            "[{name: a, tasks: {knowledge_masking: 1}}]",
            "a needs `steps`: knowledge_masking gets a share of what they leave",
        ),
        (
            "[{name: a, steps: 5, tasks: {knowledge_masking: 1, sentence_reordering: {iterations: 5}}}]",
            "a has 5 steps x 4 rows = 20 rows, its counts take sentence_reordering 20 = 20: none are left for knowledge_masking",
        ),
        (
            "[{name: a, steps: 5, tasks: {knowledge_masking: {iterations: 6}}}]",
            "a has 5 steps x 4 rows = 20 rows, its counts take knowledge_masking 24 = 24; leave",
        ),
        (
            "[{name: a, steps: 9, tasks: {knowledge_masking: {iterations: 6}}}]",
            "9 steps x 4 rows = 36 rows, its counts take knowledge_masking 24 = 24; leave",
        ),
        (
            "[{name: a, steps: 9, tasks: {knowledge_masking: {iterations: 6, tokens: 5}}}]",
            "give exactly one of share, iterations and tokens (found iterations, tokens)",
        ),
        (
            "[{name: a, steps: 9, tasks: {knowledge_masking: {}}}]",
            "give exactly one of share, iterations and tokens (found none)",
        ),
        ("[{name: a, steps: 9, tasks: {knowledge_masking: {tokens: 0}}}]", "tokens: 0 must be at least 1"),
        ("[{name: a, steps: 9, tasks: {knowledge_masking: {share: -1}}}]", "share: -1 must be non-negative"),
        ("[{name: a, steps: 9, tasks: {knowledge_masking: {rows: 1}}}]", "unknown key"),
        (
            "[{name: a, steps: 9, tasks: {knowledge_masking: 1, boundary: {iterations: 3}}}]",
            "a counts rows of boundary, which rides on the rows of others",
        ),
        (
            "[{name: a, steps: 9, tasks: {boundary: 1}}]",
            "a builds no rows; give a task that builds rows a share above 0 (no task of it builds any)",
        ),
        ("[{name: a, steps: 9, tasks: {boundary: 1, knowledge_masking: 0}}]", "a share above 0 (knowledge_masking)"),
        (
            "[{name: a, steps: 9, tasks: {knowledge_masking: 1, sentence_reordering: {share: 0}}}]",
            "gives sentence_reordering no rows; leave it out",
        ),
    ],
)
def test_stages_that_cannot_be_trained_are_refused_with_their_numbers(
    tiny_run: Path, stages: str, message: str
) -> None:
    with pytest.raises(ValueError, match=r"command line|run\.yaml") as caught:
        run_of(tiny_run, stages, "tasks.boundary={kind: span_boundary}")
    assert message in str(caught.value)


def test_names_that_figures_and_parameters_could_not_bear_are_refused(tiny_run: Path) -> None:
    with pytest.raises(ValueError, match="'a/b' is no name for a task"):
        run_of(tiny_run, "[{name: a, steps: 1, tasks: {knowledge_masking: 1}}]", "tasks.a/b={kind: span_boundary}")
    with pytest.raises(ValueError, match="named knowledge_masking must be of kind knowledge_masking"):
        run_of(
            tiny_run,
            "[{name: a, steps: 1, tasks: {knowledge_masking: 1}}]",
            "tasks.knowledge_masking={kind: sentence_reordering}",
        )


def test_counts_that_change_are_told_and_their_rows_are_counted_anew(tiny_run: Path) -> None:
    from pretrain.progress import Progress

    def stages(count: int) -> str:
        return f"[{{name: a, tasks: {{knowledge_masking: {{iterations: 4}}, sentence_reordering: {{iterations: {count}}}}}}}]"

    before, now = run_of(tiny_run, stages(4)), run_of(tiny_run, stages(8))
    seen = {"tokens": 0.0, "seconds": 0.0, "skipped": 0.0, "pooled": 0.0}
    progress = Progress()
    corpora = [Corpus(run=run) for run in (before, now)]
    shares = [
        {name: stream.share for name, stream in corpus.streams(corpus.run.stages[0], "train").items()}
        for corpus in corpora
    ]
    assert not progress.enter(0, before.stages[0], shares[0], ["knowledge_masking"])
    assert progress.done[0]["tasks"] == {
        "knowledge_masking": {"iterations": 4},
        "sentence_reordering": {"iterations": 4},
    }
    done = [{**progress.done[0], "steps": 6}]
    state = State(
        step=6,
        stage=0,
        cursors={},
        shares={},
        done=done,
        learned=[],
        fingerprints={},
        config=plain(before),
        encoder={},
        seen=seen,
    )
    found = compare(state, now, plain(now), {})
    assert (
        found.allowed == ["stages.0.steps: 8 -> 12", "stages.0.tasks.sentence_reordering.iterations: 4 -> 8"]
        and not found.refused
    )
    assert progress.enter(0, now.stages[0], shares[1], ["knowledge_masking"])
    fewer = run_of(tiny_run, stages(1))
    assert compare(state, fewer, plain(fewer), {}).refused == ["stages.0.steps: 8 -> 5 (6 steps of it are done)"]


def test_a_stage_without_knowledge_masking_is_measured_on_rows_of_its_own(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    alone = run_of(
        tiny_run,
        "[{name: a, steps: 1, tasks: {sentence_reordering: 1, boundary: 0}}]",
        "tasks.boundary={kind: span_boundary}",
    )
    makers = Corpus(run=alone).heldout(["sentence_reordering", "boundary"])
    assert [(list(maker.objectives), list(maker.streams)) for maker in makers] == [
        (["boundary"], ["demo/knowledge_masking"]),
        (["sentence_reordering"], ["demo/sentence_reordering"]),
    ]
    source = load(tiny_run, ["stages=[{name: a, steps: 1, tasks: {prefix: 1, boundary: 0}}]"])
    source.value["tasks"] = {
        "order": {"kind": "sentence_reordering"},
        "prefix": {"kind": "toys.prefix_language"},
        "boundary": {"kind": "span_boundary"},
    }
    run = decode(Run, source)
    makers = Corpus(run=run).heldout(list(run.tasks))
    assert [(list(maker.objectives), list(maker.streams)) for maker in makers] == [
        (["prefix", "boundary"], ["demo/prefix"]),
        (["order"], ["demo/order"]),
    ]
    assert run.task_ids == {"order": 1, "prefix": 0, "boundary": 0}


def test_amounts_are_shown_in_the_schedule_the_reference_and_the_schema(tiny_run: Path) -> None:
    stages = "stages=[{name: a, tasks: {knowledge_masking: {iterations: 7}, sentence_reordering: {tokens: 2_000}}}]"
    text = "\n".join("".join(word.text for word in line) for line in show_schedule(tiny_run, [stages]))
    assert "9 steps of 4 rows" in text and "78%         28 rows" in text and "22%          8 rows" in text
    value = schema(Stage)
    assert value["required"] == ["name", "tasks"]
    options = value["properties"]["tasks"]["additionalProperties"]["anyOf"]
    assert options[0] == {"type": "number"} and set(options[1]["properties"]) == {"share", "iterations", "tokens"}
    assert "mapping to number or [Amount](#amount)" in reference("pretrain", Run) and "## Amount" in reference(
        "pretrain", Run
    )
    assert Amount(tokens=2_000).recorded == {"tokens": 2_000}
