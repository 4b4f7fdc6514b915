"""The order of tasks: known without data, equal on every rank and after a resume, never a row from its plan."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch.settings.components import decode, load
from launch.views.schedule import show_schedule
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.sampling import Cursor, Sampler, micro_batches, turns
from pretrain.order import folder_weights, rows_of_step, stream_shares, tasks_of_step

STAGES = (
    "stages=[{name: one, steps: 7, tasks: {knowledge_masking: 3, sentence_reordering: 1.3}},"
    " {name: two, tasks: {knowledge_masking: {iterations: 5}, sentence_reordering: {iterations: 4}}}]"
)


def three_folders(prepared: Path) -> str:
    entries = zip("abc", (1, 2.7, 0.4), strict=True)
    return f"data=[{', '.join(f'{{path: {prepared}, name: {name}, weight: {weight}}}' for name, weight in entries)}]"


def run_of(file: Path, *overrides: str) -> Run:
    source = load(file, [STAGES, *overrides])
    source.value["tasks"].pop("span_boundary", None)
    return decode(Run, source)


@given(
    st.lists(st.integers(1, 40) | st.integers(1, 10_000), min_size=1, max_size=8),
    st.lists(st.integers(1, 50), max_size=9),
)
def test_every_prefix_is_less_than_a_row_from_its_shares_however_it_is_cut(counts: list[int], cuts: list[int]) -> None:
    shares = {str(index): float(count) for index, count in enumerate(counts)}
    whole, rows = sum(counts), min(sum(counts), 600)
    order = turns(shares, {}, rows)
    served: Counter[str] = Counter()
    for taken, name in enumerate(order, 1):
        served[name] += 1
        assert all(abs(served[str(i)] - Fraction(n * taken, whole)) < 1 for i, n in enumerate(counts))
    if rows == whole:
        assert [served[str(index)] for index in range(len(counts))] == counts
    again: list[str] = []
    for size in itertools.chain(cuts, [rows]):
        again += turns(shares, Counter(again), min(size, rows - len(again)))
    assert again == order


def test_the_largest_lag_first_would_be_off_by_more_than_a_row() -> None:
    """Why the law is not that one: with these shares it is, and ours is not."""
    shares = [13, 1, 1, 13, 13]
    whole = sum(shares)

    def worst(order: list[int]) -> float:
        served, found = [0] * len(shares), 0.0
        for taken, chosen in enumerate(order, 1):
            served[chosen] += 1
            found = max(found, *(abs(served[i] - share * taken / whole) for i, share in enumerate(shares)))
        return found

    greedy: list[int] = []
    for taken in range(1, whole + 1):
        lags = [share * taken / whole - greedy.count(index) for index, share in enumerate(shares)]
        greedy.append(lags.index(max(lags)))
    ours = turns({index: float(share) for index, share in enumerate(shares)}, {}, whole)
    assert worst(greedy) > 1 > worst(ours)


def test_two_tasks_over_three_folders_keep_every_share_at_every_row(tiny_run: Path, prepared: Path) -> None:
    run = run_of(tiny_run, three_folders(prepared))
    for stage in run.stages:
        shares = stream_shares(run, stage)
        whole = sum(shares.values())
        served: Counter[tuple[str, str]] = Counter()
        for taken, name in enumerate(turns(shares, {}, stage.steps * run.batch.rows_per_step), 1):
            served[name] += 1
            assert all(abs(served[name] - share * taken / whole) < 1 for name, share in shares.items())


@pytest.mark.parametrize("seed", [1, 2])
def test_training_follows_the_order_that_is_known_without_data_on_every_rank_and_after_a_resume(
    tiny_run: Path, prepared: Path, seed: int
) -> None:
    run = run_of(tiny_run, three_folders(prepared), f"seed={seed}")
    elsewhere = run_of(tiny_run, three_folders(Path("/nowhere")), f"seed={seed + 5}")
    corpus, begin = Corpus(run=run), 0
    for stage in run.stages:
        planned = [
            [f"{folder}/{task}" for folder, task in rows_of_step(elsewhere, step)]
            for step in range(begin, begin + stage.steps)
        ]
        sampler = Sampler(streams=corpus.streams(stage, "train"), rows_per_step=run.batch.rows_per_step)
        cursors: dict[str, Cursor] = {}
        for world in (1, 2, 4):
            states: dict[int, dict[str, Cursor]] = {}
            found: dict[int, dict[int, str]] = {step: {} for step in range(stage.steps)}
            for rank in range(world):
                for spec in micro_batches(sampler, {}, range(stage.steps), 99, 1, rank, world, states):
                    found[spec.step][spec.first] = spec.rows[0].stream
            assert [[rows[place] for place in sorted(rows)] for rows in found.values()] == planned
            cursors = states[2]
        rows, _ = sampler.step(cursors)
        assert [row.stream for row in rows] == planned[3]
        begin += stage.steps
    assert sum((Counter(tasks_of_step(run, step)) for step in range(7, 16)), Counter()) == {
        "knowledge_masking": 20,
        "sentence_reordering": 16,
    }
    with pytest.raises(ValueError, match="step: 16 must lie between 0 and 15"):
        rows_of_step(run, 16)


def test_a_task_may_weigh_its_folders_and_others_do_not_notice(tiny_run: Path, prepared: Path) -> None:
    data = three_folders(prepared)
    plain_one = run_of(tiny_run, data)
    own = run_of(tiny_run, data, "tasks.sentence_reordering.folders={a: 2, c: 1}")
    assert folder_weights(own, "sentence_reordering") == {"a": 2, "c": 1}
    assert folder_weights(own, "knowledge_masking") == {"a": 1, "b": 2.7, "c": 0.4}
    for index in (0, 1):
        before, now = (stream_shares(run, run.stages[index]) for run in (plain_one, own))
        masking = [pair for pair in before if pair[1] == "knowledge_masking"]
        assert [before[pair] for pair in masking] == [now[pair] for pair in masking]
        share = now["a", "sentence_reordering"], now["c", "sentence_reordering"]
        assert ("b", "sentence_reordering") not in now and 1.7 < share[0] / share[1] < 2.3
    assert list(Corpus(run=own).feeds["sentence_reordering"]) == ["a", "c"]
    for wrong, message in (("{a: 0}", "the weights"), ("{zz: 1}", "'zz', which is not among the prepared folders")):
        with pytest.raises(ValueError, match=message):
            _ = Corpus(run=run_of(tiny_run, data, f"tasks.sentence_reordering.folders={wrong}")).feeds


def text_of(file: Path, *overrides: str) -> str:
    return "\n".join("".join(word.text for word in line) for line in show_schedule(file, list(overrides)))


def test_show_schedule_draws_the_rows_the_rates_and_how_often_folders_are_read(tiny_run: Path) -> None:
    schedule = (
        "schedule={kind: sequential, order: [[knowledge_masking], [sentence_reordering]], replay: 0.25,"
        " iterations: {knowledge_masking: 6, sentence_reordering: 6}}"
    )
    text = text_of(tiny_run, "stages=[]", schedule, "optimization.warmup=2")
    assert "stages made by the schedule sequential" in text
    assert "step 0        AAAA\n" in text and "step 6        BABB\n" in text
    assert "linear, warm-up of 2 steps anew in each stage" in text
    assert "linear, warm-up of 2 steps anew in this stage" in text and "▅█" in text
    assert "how often each folder is read (estimated from its first rows)" in text
    assert "demo/knowledge_masking" in text and " times" in text
    once = text_of(tiny_run, "stages=[]", schedule, "optimization.restart_per_stage=false", "data.0.path=/nowhere")
    assert "one warm-up of 2 steps, at the start of the run" in once
    assert "how often each folder is read is not known: /nowhere" in once
    alone = text_of(tiny_run, "stages=[]", schedule.replace("0.25", "0"), "optimization.warmup=6")
    assert "no task of it reads hidden tokens: nothing is hidden in training" in alone
    assert "which are all of it: the rate only rises" in alone
    often = text_of(tiny_run, "stages=[]", schedule.replace(": 6", ": 600"))
    assert "repeated often" in often


def test_training_hides_nothing_where_no_task_reads_it_and_evaluation_does(tiny_run: Path) -> None:
    from pretrain.feed.sampling import MicroBatchSpec

    run: Any = run_of(
        tiny_run,
        "stages=[{name: a, steps: 2, tasks: {sentence_reordering: 1}},"
        " {name: b, steps: 2, tasks: {sentence_reordering: 1, knowledge_masking: 0}}]",
    )
    corpus = Corpus(run=run)

    def packed(maker: Any) -> Any:
        rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
        return maker.packed(MicroBatchSpec(0, rows, 0.0))

    whole, hidden = (packed(corpus.maker(stage, "train", run.masking)) for stage in run.stages)
    assert (whole.corrupted_T == whole.original_T).all() and not len(whole.hidden.position_M)
    assert len(hidden.hidden.position_M) > 0 and (hidden.original_T == whole.original_T).all()
    batch = corpus.maker(run.stages[0], "train", run.masking)[
        MicroBatchSpec(0, Sampler(streams=corpus.streams(run.stages[0], "train"), rows_per_step=4).step({})[0], 0.0)
    ]
    assert batch.masked_tokens == 0 and batch.counts["sentence_reordering"] > 0
    assert all(len(packed(maker).hidden.position_M) for maker in corpus.heldout(["sentence_reordering"]))


def test_two_ranks_train_what_was_planned(kmask: Callable[..., Any], tiny_run: Path, tmp_path: Path) -> None:
    schedule = (
        "schedule={kind: sequential, order: [[knowledge_masking], [sentence_reordering]],"
        " iterations: {knowledge_masking: 3, sentence_reordering: 2}}"
    )
    off = ("evaluation.every=0", "engine.zero_stage=1", "checkpoints.every=9")
    done = kmask("train", tiny_run, "stages=[]", schedule, *off, "--processes", 2)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    first, second, whole = (line for line in lines if line["event"].endswith("_end"))
    assert (first["rows/knowledge_masking"], second["rows/sentence_reordering"]) == (12, 8)
    assert "rows/knowledge_masking" not in second and whole["planned_rows/knowledge_masking"] == 12
    shares = {line["step"]: line["masked_share"] for line in lines if line["event"] == "train"}
    assert min(shares[step] for step in (1, 2, 3)) > 0.1 and max(shares[step] for step in (4, 5)) == 0
