"""How much text a step sees, along a run: rows that grow, stages of other lengths; exact on every rank, after every
resume, and to `kmask show`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seen_ids import Ids, ids_of

from launch.outcomes.seen_step import read_step, step_json
from launch.settings.components import Source, decode, plain, read_config
from launch.views.batch import show_batch
from launch.views.schedule import show_schedule
from pretrain.config import Run
from pretrain.continuing import compare
from pretrain.corpus import Corpus
from pretrain.engine import Engine
from pretrain.feed import sampling
from pretrain.feed.sampling import Cursor, Sampler, micro_batches
from pretrain.feed.step_rows import StepRows
from pretrain.order import rows_of_step
from pretrain.preflight import Place, preflight
from pretrain.processes.world import World
from pretrain.stage_cursors import beginning
from pretrain.stages.schedule import position, total_steps
from pretrain.state.checkpoint import State, latest
from pretrain.state.store import Store
from pretrain.trainer import Trainer

TASKS = "{knowledge_masking: 1, span_boundary: 0}"
BOTH = "{knowledge_masking: 1, span_boundary: 0, sentence_reordering: 2}"
SHORT = "{max_sample_tokens: 40, row_tokens: 160, rows_per_step: 8, rows_per_process: 2, warmup: {rows: 4, steps: 3}}"
STAGES = f"stages=[{{name: short, steps: 6, tasks: {TASKS}, batch: {SHORT}}}, {{name: long, steps: 5, tasks: {BOTH}}}]"
SETTINGS = (STAGES, "checkpoints={every: 2, keep: 100}", "tracking={every: 1, sinks: []}", "evaluation.every=0")
"""Six steps of samples of 40 tokens, with 4, 4, 4, 8, 8, 8 rows, then five of samples of 64, with 4 rows."""
ROWS = (4, 4, 4, 8, 8, 8, 4, 4, 4, 4, 4)


# --- the law
# -----------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 40), st.integers(0, 50), st.integers(1, 500))
def test_rows_grow_in_a_straight_line_of_whole_multiples(
    first: int, times: int, growing: int, begin: int, wanted: int
) -> None:
    rows = StepRows(rows=first * times, first=first, growing=growing, begin=begin)
    found = [rows.of(begin + step) for step in range(growing + 20)]
    line = [first + (first * times - first) * step / growing for step in range(growing + 1)]
    assert found[0] == first and set(found[growing:]) == {first * times}
    for got, exact in zip(found, line, strict=False):
        assert got % first == 0 and got <= exact + 1e-9 < got + first + 2e-9
    for here in (0, 1, growing - 1, growing, growing + 7):
        assert rows.between(begin + here, begin + growing + 20) == sum(found[here:])
        steps = rows.filled(begin + here, wanted)
        assert rows.between(begin + here, begin + here + steps) >= wanted
        assert rows.between(begin + here, begin + here + steps - 1) < wanted


def test_without_a_warm_up_all_steps_are_alike() -> None:
    rows = StepRows(rows=8)
    assert rows.of(0) == rows.of(10**9) == 8 and rows.between(3, 10) == 56 and rows.filled(5, 17) == 3


def test_the_example_of_the_module_and_where_each_warm_up_is_counted_from(tiny_run: Path) -> None:
    rows = StepRows(rows=8, first=2, growing=6)
    assert [rows.of(step) for step in range(9)] == [2, 2, 4, 4, 6, 6, 8, 8, 8]
    own = read_config(Run, tiny_run, [*SETTINGS])
    assert steps_of(own) == list(ROWS)
    whole = f"stages=[{{name: a, steps: 3, tasks: {TASKS}}}, {{name: b, steps: 4, tasks: {TASKS}}}]"
    run = read_config(Run, tiny_run, [whole, "batch.rows_per_step=8", "batch.warmup={rows: 2, steps: 6}"])
    assert steps_of(run) == [2, 2, 4, 4, 6, 6, 8]  # over the change of stages


def steps_of(run: Run) -> list[int]:
    return [
        run.step_rows(run.stages[position(run.stages, step).stage]).of(step) for step in range(total_steps(run.stages))
    ]


# --- planning
# ----------------------------------------------------------------------------------------------------------------


def served(run: Run) -> list[dict[str, int]]:
    """Rows that every task gets in each stage, taken one by one; the order is that which needs no data."""
    corpus, cursors, found, step = Corpus(run=run), dict[str, Cursor](), [], 0
    for index, stage in enumerate(run.stages):
        cursors = beginning(run, index, cursors)
        sampler = Sampler(streams=corpus.streams(stage, "train"), rows_per_step=run.step_rows(stage))
        begin, start = cursors, step
        for _ in range(stage.steps):
            rows, cursors = sampler.step(cursors, step)
            assert [row.stream for row in rows] == ["/".join(pair) for pair in rows_of_step(run, step)]
            step += 1
        assert sampler.after(begin, stage.steps, start) == cursors
        found.append({name.rpartition("/")[2]: cursor.served for name, cursor in cursors.items() if cursor.served})
    return found


@pytest.mark.parametrize("warmup", ["null", "{rows: 2, steps: 7}", "{rows: 1, steps: 5}"])
def test_counted_rows_are_served_exactly_whatever_the_rows_of_a_step(tiny_run: Path, warmup: str) -> None:
    stages = (
        "stages=[{name: a, tasks: {knowledge_masking: {iterations: 7}, sentence_reordering: {tokens: 2_000}}},"
        "{name: b, steps: 9, tasks: {knowledge_masking: {iterations: 2}, sentence_reordering: 1},"
        "batch: {max_sample_tokens: 40, row_tokens: 200, rows_per_step: 6, warmup: {rows: 3, steps: 4}}}]"
    )
    source = read_config(Run, tiny_run, [stages, "tasks.span_boundary.weight=1", f"batch.warmup={warmup}"])
    found = served(source)
    first, second = source.stages
    assert first.steps >= 9 and (first.steps == 9) == (warmup == "null")
    planned = source.rows_of(first)
    assert planned["knowledge_masking"] >= 28 and planned["sentence_reordering"] >= 8
    whole = sum(steps_of(source)[: first.steps])
    assert sum(planned.values()) == whole < 36 + source.batch.rows_per_step and found[0] == planned
    assert sum(steps_of(source)[: first.steps - 1]) < 36, "fewer steps would do"
    assert source.rows_of(second) == found[1] == {"knowledge_masking": 12, "sentence_reordering": 3 * 4 + 6 * 5 - 12}


def test_a_schedule_makes_stages_whose_rows_add_up_under_a_warm_up(tiny_run: Path) -> None:
    schedule = (
        "schedule={kind: continual_multi_task, order: [[knowledge_masking, span_boundary], [sentence_reordering]],"
        "iterations: {knowledge_masking: 6, sentence_reordering: 4}}"
    )
    run = read_config(Run, tiny_run, ["stages=[]", schedule, "batch.warmup={rows: 1, steps: 6}"])
    found = served(run)
    assert [run.rows_of(stage) for stage in run.stages] == found
    assert found[0]["knowledge_masking"] >= 12 and found[1]["sentence_reordering"] >= 16


def test_plan_dry_run_and_schedule_sum_the_rows(tiny_run: Path) -> None:
    run = read_config(Run, tiny_run, list(SETTINGS))
    found = preflight(run, plain(run), Place(2, 2))
    positions = sum(ROWS[:6]) * 160 + sum(ROWS[6:]) * 256
    assert [stage.positions() for stage in found.stages] == [36 * 160, 20 * 256]
    assert found.stages[0].positions(4) == 2 * 8 * 160 and found.stages[0].positions(9) == 0
    assert found.dearest.name == "short"  # 2 x 160 positions at once, the other 1 x 256
    assert [stage.load.real_share > 0.5 for stage in found.stages] == [True, True]
    text = "\n".join("".join(word.text for word in line) for line in show_schedule(tiny_run, list(SETTINGS)))
    assert f"11 steps = {positions:,} tokens" in text
    assert "6 steps of 4 to 8 rows = 36 rows of 160 tokens, samples of up to 40" in text
    assert "rows grow from 4 to 8 in the 3 steps before step 3" in text
    assert "5 steps x 4 rows = 20 rows of 256 tokens, samples of up to 64" in text
    assert run.share_done(6) == 36 * 160 / positions and run.share_done(11) == 1
    from launch.processes.dry_run import summary
    from pretrain.costs import costs

    told = " ".join(" ".join(summary(found, "here")).split())
    assert f"tokens {positions:,} in 11 steps" in told
    assert "4 to 8 rows a step of 160 tokens, samples of up to 40; each process takes 2 micro-batches a step" in told
    assert costs(found).positions == positions and costs(found).steps == 11
    assert costs(found).tokens < positions


@pytest.mark.parametrize(("step", "told"), [(0, "4 rows of 160"), (3, "8 rows of 160"), (6, "4 rows of 256")])
def test_show_batch_draws_the_rows_and_lengths_of_the_step(train: Trained, step: int, told: str) -> None:
    lines = ["".join(word.text for word in line) for line in show_batch(train.file, list(SETTINGS), step)]
    assert f"{told} tokens" in lines[0]
    if step:  # what a step to come would see is what it sees
        train("run", stop_after=step + 1)
        first = step_json(read_step(train.folder / "run", [], step + 1), None)["micro_batches"][0]["samples"][0]
        assert any(line.startswith(f"{first['document']} from token") for line in lines)


# --- the order
# ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Blocks of 16 slots: the corpus of the tests has many of them."""
    monkeypatch.setattr(sampling, "BLOCK", 16)
    yield


def lengths_run(file: Path, *lengths: int, steps: int = 12) -> Run:
    stages = [
        f"{{name: s{number}, steps: {steps}, tasks: {BOTH}, batch: {{max_sample_tokens: {length}, row_tokens: "
        f"{4 * length}, rows_per_step: 2}}}}"
        for number, length in enumerate(lengths)
    ]
    return read_config(Run, file, [f"stages=[{', '.join(stages)}]", "model.max_positions=1024"])


def drawn(run: Run) -> list[list[tuple[str, int, int, int, int]]]:
    """(stream, epoch, shard, document, start) of every window of each stage."""
    corpus, cursors, found = Corpus(run=run), dict[str, Cursor](), []
    for index, stage in enumerate(run.stages):
        cursors = beginning(run, index, cursors)
        sampler = Sampler(streams=corpus.streams(stage, "train"), rows_per_step=run.step_rows(stage))
        mine = []
        for step in range(stage.steps):
            rows, cursors = sampler.step(cursors, step)
            for row in rows:
                places = zip(row.windows.shard_W, row.windows.document_W, row.windows.start_W, strict=True)
                mine += [(row.stream, row.epoch, *(int(value) for value in place)) for place in places]
        found.append(mine)
    return found


@pytest.mark.usefixtures("small_blocks")
def test_no_window_of_an_epoch_is_seen_twice_across_changes_of_length(tiny_run: Path) -> None:
    run = lengths_run(tiny_run, 40, 64, 512, 40, 700)
    stages = drawn(run)
    assert all(len(stage) == len(set(stage)) for stage in stages)
    whole = [window for stage in stages for window in stage]
    assert len(whole) == len(set(whole))
    streams = {window[0] for window in whole}
    for name in streams:
        epochs = [{window[1] for window in stage if window[0] == name} for stage in stages]
        assert all(max(before) <= min(after) for before, after in itertools.pairwise(epochs))
        assert epochs[0] & epochs[1], "the epoch goes on under another length"
        assert not epochs[3] & epochs[4], "slots of another size have another order"
        stream = Corpus(run=run).streams(run.stages[0], "train")[name]
        slots = [
            {(window[1], slot_of(stream, window)) for window in stage if window[0] == name} for stage in stages[:4]
        ]
        assert sum(map(len, slots)) == len(set().union(*slots)), "a slot was begun in two stages"


def slot_of(stream: Any, window: tuple[str, int, int, int, int]) -> tuple[int, int]:
    _, _, shard, document, start = window
    first = int(stream.source.shards[shard].token_ids.offsets_D1[document])
    return shard, (first + start) // 512


@pytest.mark.usefixtures("small_blocks")
def test_the_rest_of_less_than_a_block_is_left_for_the_next_epoch(tiny_run: Path) -> None:
    run = lengths_run(tiny_run, 40, 64, steps=5)
    name = "demo/knowledge_masking"
    assert beginning(run, 1, {name: Cursor(2, 5, 17, 40)}) == {name: Cursor(2, 6, 0, 0)}
    assert beginning(run, 1, {name: Cursor(2, 5, 0, 40)}) == {name: Cursor(2, 5, 0, 0)}
    same = lengths_run(tiny_run, 40, 40, steps=5)
    assert beginning(same, 1, {name: Cursor(2, 5, 17, 40)}) == {name: Cursor(2, 5, 17, 0)}
    other = lengths_run(tiny_run, 40, 700, steps=5)
    assert beginning(other, 1, {name: Cursor(2, 5, 17, 40), "left/task": Cursor(1, 0, 0)}) == {
        name: Cursor(3, 0, 0, 0),
        "left/task": Cursor(1, 0, 0, 0),
    }
    stream = Corpus(run=run).streams(run.stages[1], "train")[name]
    past_the_last = Cursor(0, stream.blocks, 0)
    row, after = stream.next(past_the_last)
    assert row.epoch == 1 and after == Cursor(1, 0, 1, 1)
    assert stream.after(past_the_last, 7)._replace(served=0) == stream.after(Cursor(1), 7)._replace(served=0)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_all_ranks_together_make_the_same_rows(tiny_run: Path, world: int) -> None:
    run = read_config(Run, tiny_run, [*SETTINGS, "stages.0.batch.rows_per_process=1"])
    corpus, step = Corpus(run=run), 0
    cursors: Mapping[str, Cursor] = {}
    for index, stage in enumerate(run.stages):
        cursors = beginning(run, index, cursors)
        sampler = Sampler(streams=corpus.streams(stage, "train"), rows_per_step=run.step_rows(stage))
        steps, states = range(step, step + stage.steps), dict[int, dict[str, Cursor]]()
        ranks = [list(micro_batches(sampler, cursors, steps, 11, 1, rank, world, states)) for rank in range(world)]
        for number in steps:
            expected, _ = sampler.step(cursors if number == step else states[number - 1], number)
            mine = sorted((spec.first, spec.rows) for rank in ranks for spec in rank if spec.step == number)
            assert [row for _, rows in mine for row in rows] == expected and len(expected) == ROWS[number]
            assert len({sum(spec.step == number for spec in rank) for rank in ranks}) == 1
        step, cursors = steps.stop, states[steps.stop - 1]


# --- training
# ----------------------------------------------------------------------------------------------------------------


class Trained:
    """Runs of the tiny configuration within this process, and the ids that their steps were given."""

    def __init__(self, file: Path, folder: Path, world: World, patch: pytest.MonkeyPatch) -> None:
        self.file, self.folder, self.world, self.patch = file, folder, world, patch

    def __call__(
        self, name: str, *overrides: str, spikes: Mapping[int, int] | None = None, stop_after: int = -1
    ) -> Ids:
        """Train, to the end or to a step from 2 on; ids of the micro-batches by step, as it was done last."""
        run = self.run(name, *overrides)
        return ids_of(run, self.world, self.patch, spikes, lambda step: step + 1 >= stop_after >= 0)

    def run(self, name: str, *overrides: str) -> Run:
        return read_config(Run, self.file, [*SETTINGS, f"output={self.folder / name}", *overrides])

    def lines(self, name: str) -> list[dict[str, Any]]:
        lines = (self.folder / name / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def values(self, name: str) -> dict[int, dict[str, Any]]:
        """What training lines hold that must be equal bit for bit."""
        wanted = ("loss/", "accuracy/", "targets/", "grad_norm", "lr", "tokens", "masked", "epoch/", "cursors")
        return {
            line["step"]: {key: line[key] for key in line if key.startswith(wanted) and "second" not in key}
            for line in self.lines(name)
            if line["event"] == "train"
        }

    def state(self, name: str) -> State:
        found = latest(self.folder / name / "checkpoints", print)
        assert found is not None
        return found.state

    def tensors(self, name: str) -> dict[str, torch.Tensor]:
        found = latest(self.folder / name / "checkpoints", print)
        assert found is not None
        return found.tensors()

    def shown(self, name: str, step: int) -> list[list[int]]:
        batches = step_json(read_step(self.folder / name, [], step), None)["micro_batches"]
        return [batch["input_ids"] for batch in batches]


@pytest.fixture
def train(tiny_run: Path, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Trained:
    return Trained(tiny_run, tmp_path, world, monkeypatch)


def equal(one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_every_step_has_its_rows_and_is_redrawn_as_it_was(train: Trained) -> None:
    seen = train("run")
    for step, rows in enumerate(ROWS, 1):
        micro, row = (2, 160) if step <= 6 else (1, 256)
        assert [len(ids) for ids in seen[step]] == [micro * row] * (rows // micro)
        assert train.shown("run", step) == seen[step], step
    tokens = [line["tokens"] for line in train.lines("run") if line["event"] == "train"]
    pad = 0
    real = [sum(token != pad for ids in seen[step] for token in ids) for step in range(1, 12)]
    assert [round(now - before) for before, now in zip([0, *tokens], tokens, strict=False)] == real
    for line in train.lines("run"):
        if line["event"] == "train":
            assert line["tokens_per_second"] > 0 and 0.5 < line["real_share"] <= 1
    ends = [line for line in train.lines("run") if line["event"] == "stage_end"]
    assert [line["rows/knowledge_masking"] for line in ends] == [36, 7]
    assert [line["iterations/knowledge_masking"] for line in ends] == [4.5, 1.75]
    (end,) = (line for line in train.lines("run") if line["event"] == "run_end")
    assert end["iterations/knowledge_masking"] == 6.25 and end["rows/knowledge_masking"] == 43
    assert "samples up to 64" in card(train.state("run"))


def card(state: State) -> str:
    from pretrain.state import model_card

    longest = max(model_card._batch(state, index)["max_sample_tokens"] for index in range(len(state.done)))
    return f"samples up to {longest}"


@pytest.mark.parametrize(("zero", "stopped"), [(0, ((2, 8), (6,))), (2, ((3, 5, 7, 10),))], ids=str)
def test_a_run_that_is_stopped_anywhere_goes_on_bitwise(
    train: Trained, zero: int, stopped: tuple[tuple[int, ...], ...]
) -> None:
    setting = f"engine.zero_stage={zero}"
    seen = train("whole", setting)
    for stops in stopped:
        name, parts = f"stopped at {stops}", Ids()
        for stop in stops:
            parts |= train(name, setting, stop_after=stop)
            assert train.state(name).step == stop
        parts |= train(name, setting)
        assert parts == seen, name
        assert train.values(name) == train.values("whole"), name
        assert equal(train.tensors(name), train.tensors("whole")), name
        assert all(train.shown(name, step) == ids for step, ids in seen.items()), name


class Killed(BaseException):
    """Ends a training where it stands."""


def test_a_run_that_dies_goes_on_bitwise_from_its_last_checkpoint(
    train: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("whole")
    original = Engine.train_step

    def dies(engine: Engine, *rest: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == at + 1:
            raise Killed
        return original(engine, *rest, **more)

    for at in (3, 9):
        name, calls = f"died at {at}", list[int]()
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(Engine, "train_step", dies)
            run = train.run(name)
            Trainer(run, plain(run), train.world, lambda *_: None, asked=lambda: False).train()
        train(name)
        assert train.values(name) == train.values("whole"), name
        assert equal(train.tensors(name), train.tensors("whole")), name


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("spikes", [{4: 1}, {8: 1}, {7: 1, 11: 1}], ids=str)
def test_steps_are_redrawn_after_going_back_in_either_stage(train: Trained, spikes: Mapping[int, int]) -> None:
    seen = train("run", "stability.on_spike=rollback", spikes=spikes)
    assert sorted(seen) == list(range(1, 12))
    for step, ids in seen.items():
        assert train.shown("run", step) == ids, step


@pytest.mark.usefixtures("small_blocks")
def test_going_back_over_a_change_of_length_counts_in_the_lengths_there(
    train: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the first stage could not be saved, so a jump in the second one leads back into the first."""
    save, full = Store.save, [6]

    def sometimes(store: Store, snapshot: Any) -> Path:
        if snapshot.state.step in full:
            full.remove(snapshot.state.step)
            raise OSError(28, "No space left on device", str(store.folder))
        return save(store, snapshot)

    monkeypatch.setattr(Store, "save", sometimes)
    seen = train("run", "stability.on_spike=rollback", spikes={7: 1})
    back = [line for line in train.lines("run") if line["event"] == "rollback"]
    assert [(line["step"], line["from"]) for line in back] == [(4, 7)]
    rows = [json.loads(line) for line in (train.folder / "run/skipped.jsonl").read_text().splitlines()]
    (to,) = (row["to"] for row in rows if row["event"] == "rollback")
    assert all(cursor[2] == 0 for cursor in to.values()), "a place that hangs on no packing"
    assert [len(ids) for ids in seen[5]] == [320] * 4 and [len(ids) for ids in seen[8]] == [256] * 4
    for step, ids in seen.items():
        assert train.shown("run", step) == ids, step


def test_held_out_rows_have_the_lengths_of_the_run_in_every_stage(train: Trained) -> None:
    run = train.run("run")
    makers = Corpus(run=run).heldout(["knowledge_masking"])
    assert {(maker.max_sample_tokens, maker.row_tokens) for maker in makers} == {(64, 256)}
    train("run", "evaluation={every: 100, rows: 2}")
    found = [line for line in train.lines("run") if line["event"] == "evaluation"]
    assert len({line["targets/knowledge_masking"] for line in found}) == 1 and len(found) == 4


def test_a_new_run_begins_from_one_whose_last_stage_had_another_length(train: Trained) -> None:
    train("first")
    again = (f"model.path={train.folder / 'first'}", "model.optimizer=keep")
    seen = train("second", *again)
    assert [len(batches) for batches in seen.values()] == [2, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4]
    assert all(train.shown("second", step) == ids for step, ids in seen.items())
    longer = "stages.1.batch={max_sample_tokens: 128, row_tokens: 256}"
    with pytest.raises(ValueError, match=r"stages.1.batch.max_sample_tokens: 128, but .* has 64 positions; use at"):
        train("third", *again, longer)


def test_data_workers_make_the_same_batches(train: Trained) -> None:
    train("alone")
    train("workers", "data_workers=2")
    assert train.values("alone") == train.values("workers")


# --- going on with other settings
# --------------------------------------------------------------------------------------------


def changes(train: Trained, *overrides: str) -> tuple[list[str], list[str]]:
    run, state = train.run("run", *overrides), train.state("run")
    corpus = Corpus(run=run)
    return tuple(compare(state, corpus.bound, corpus.resolved(plain(run)), corpus.fingerprints))  # type: ignore[return-value]


def test_lengths_of_stages_that_have_begun_stay_and_rows_may_change(train: Trained) -> None:
    train("run", stop_after=8)
    assert changes(train) == ([], [])
    key = "stages.0.batch"
    assert changes(train, f"{key}.max_sample_tokens=36")[1] == [
        f"{key}.max_sample_tokens: 40 -> 36 (this stage has ended)"
    ]
    assert changes(train, "stages.1.batch={max_sample_tokens: 48, row_tokens: 256, rows_per_step: 4}")[1] == [
        "stages.1.batch.max_sample_tokens: 64 -> 48 (this stage has begun)"
    ]
    allowed, refused = changes(train, "stages.1.batch={max_sample_tokens: 64, row_tokens: 256, rows_per_step: 12}")
    assert not refused and allowed == ["stages.1.batch.rows_per_step: 4 -> 12"]
    allowed, refused = changes(train, f"{key}.warmup.rows=2")
    assert not refused and allowed == [f"{key}.warmup.rows: 4 -> 2"]
    run = train.run("run")
    third = replace(run.stages[1], name="third", batch=replace(run.batch, max_sample_tokens=16))
    longer = plain(replace(run, stages=[*run.stages, third]))
    corpus = Corpus(run=run)
    found = compare(train.state("run"), corpus.bound, corpus.resolved(longer), corpus.fingerprints)
    assert not found.refused and len(found.allowed) == 1


def test_checkpoints_from_before_stages_had_a_batch_go_on(train: Trained) -> None:
    plain_stages = "stages=[{name: one, steps: 4, tasks: {knowledge_masking: 1, span_boundary: 0}}]"
    seen = train("run", plain_stages, stop_after=2)
    for file in (train.folder / "run/checkpoints").glob("*/state.json"):
        state = json.loads(file.read_text())
        del state["config"]["batch"]["warmup"], state["config"]["stages"][0]["batch"]
        old = State(**{key: value for key, value in state.items() if key not in ("version", "sha256", "files")})
        run = train.run("run", plain_stages)
        corpus = Corpus(run=run)
        assert compare(old, corpus.bound, corpus.resolved(plain(run)), corpus.fingerprints) == ([], [])
    assert len(seen) == 2


def test_more_processes_may_take_over_when_the_warm_up_is_over(tiny_run: Path) -> None:
    run = read_config(Run, tiny_run, list(SETTINGS))
    with pytest.raises(
        ValueError, match=r"stages.0.batch.warmup.rows = 4 cannot be divided by 4 processes x rows_per_process = 2"
    ):
        run.check_processes(4)
    run.check_processes(4, 3)  # from the fourth step on there are 8 rows
    with pytest.raises(ValueError, match=r"stages.0.batch.rows_per_step = 8 cannot be divided by 3 processes"):
        run.check_processes(3, 5)
    with pytest.raises(ValueError, match=r"batch.rows_per_step = 4 cannot be divided by 8 processes"):
        run.check_processes(8, 6)
    run.check_processes(8, 11)


# --- errors
# ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["batch.warmup={rows: 3, steps: 2}"], r"warmup: rows 3 must divide rows_per_step = 4"),
        (["batch.warmup={rows: 0, steps: 2}"], r"rows: 0 must be at least 1"),
        (["batch.warmup={rows: 2, steps: 0}"], r"steps: 0 must be at least 1"),
        (["batch.warmup={rows: 2}"], r"steps"),
        (["stages.0.batch.warmup.rows=3"], r"warmup: rows 3 must divide rows_per_step = 8"),
        (
            ["stages.0.batch.warmup.steps=7"],
            r"stages.0.batch.warmup: steps 7 must be at most the 6 steps of stage short",
        ),
        (
            ["stages.0.batch=null", "batch.warmup={rows: 2, steps: 12}"],
            r"batch.warmup: steps 12 must be at most the 11 steps of the run",
        ),
        (["batch.warmup={rows: 2, steps: 5}"], r"batch.warmup: no step has fewer rows by it: .* write it there"),
        (
            ["stages.0.batch.max_sample_tokens=128"],
            r"row_tokens: 160 must be 0 or at least max_sample_tokens = 128|128, but the new model",
        ),
        (
            ["stages.0.batch={max_sample_tokens: 128}"],
            r"stages.0.batch.max_sample_tokens: 128, but the new model \(model.max_positions\) has 64 positions; use",
        ),
        (["stages.0.batch.lenght=3"], r"unknown key"),
        (["stages.0.steps=0"], r"stages: short needs `steps`"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_before_training(tiny_run: Path, settings: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_config(Run, tiny_run, [*SETTINGS, *settings])


def test_a_task_that_does_not_fit_the_samples_of_a_stage_is_named_with_the_stage(tiny_run: Path) -> None:
    from pretrain.objectives.sentence_reordering import SentenceReordering

    class Wide(SentenceReordering):
        def special_tokens(self) -> int:
            return 30

    run = read_config(Run, tiny_run, list(SETTINGS))
    tasks = {**run.tasks, "sentence_reordering": Wide()}
    replace(run, tasks=tasks)  # 34 tokens are left in samples of 64, and the stage of samples of 40 has not the task
    stages = [run.stages[0], replace(run.stages[1], batch=replace(run.batch, max_sample_tokens=36))]
    message = r"sentence_reordering leaves 6 tokens .* in stage long; raise stages.1.batch.max_sample_tokens = 36 to 38"
    with pytest.raises(ValueError, match=message):
        replace(run, tasks=tasks, stages=stages)


def test_rows_that_processes_cannot_divide_are_refused_by_the_checks_of_a_start(tiny_run: Path, world: World) -> None:
    run = read_config(Run, tiny_run, list(SETTINGS))
    with pytest.raises(ValueError, match=r"stages.0.batch.warmup.rows = 4 cannot be divided by 4 processes"):
        preflight(run, plain(run), Place(4, 4))
    odd = read_config(Run, tiny_run, [*SETTINGS, "stages.1.batch={max_sample_tokens: 64, rows_per_process: 3}"])
    with pytest.raises(ValueError, match=r"stages.1.batch.rows_per_step = 8 cannot be divided by 1 processes"):
        Trainer(odd, plain(odd), world, lambda *_: None).train()
    assert not (Path(odd.output) / "metrics.jsonl").exists()


def test_the_configuration_is_written_and_read_as_it_is(tiny_run: Path) -> None:
    run = read_config(Run, tiny_run, list(SETTINGS))
    assert decode(Run, Source(plain(run), {})) == run
