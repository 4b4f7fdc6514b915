"""Everything that `kmask train` needs to know, as frozen dataclasses (launch/settings/components.py builds them)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from pretrain.evaluation.heldout import CONTROL, Evaluation
from pretrain.feed.hiding import Masking
from pretrain.feed.step_rows import StepRows
from pretrain.methods import Method
from pretrain.network.encoder import Model
from pretrain.objectives import Objective
from pretrain.objectives.knowledge_masking import KnowledgeMasking
from pretrain.objectives.token_order import TokenOrder
from pretrain.optimization import Optimization
from pretrain.run_parts import Checkpoints, Data, check_data
from pretrain.settings import DeepSpeed
from pretrain.stability import Stability
from pretrain.stages.batching import Batching
from pretrain.stages.checks import check_positions, check_samples, check_warmups, planned_stage
from pretrain.stages.schedule import Room, Stage, amount_of, rows_of
from pretrain.tracking import Tracking


@dataclass(frozen=True, kw_only=True)
class Run:
    """A pretraining run."""

    output: str
    """Folder of the run. Running again continues it."""
    data: list[Data]
    """Prepared folders, all with the same tokenizer."""
    stages: list[Stage] = field(default_factory=list)
    """What is trained, in order; or a `schedule` that makes them."""
    schedule: Method | None = None
    """A method that makes the stages of tasks and their iterations."""
    model: Model = field(default_factory=Model)
    """Shape of the encoder, or a checkpoint to continue from."""
    masking: Masking = field(default_factory=Masking)
    """What is hidden and how."""
    tasks: dict[str, Objective] = field(default_factory=lambda: {"knowledge_masking": KnowledgeMasking()})
    """Every task of the run by name, in the order in which they join; new ones are added at the end."""
    batch: Batching = field(default_factory=Batching)
    """How much text a step sees; a stage may have its own. Held-out rows have these lengths in every stage, so that
    figures compare: positions that a stage of shorter samples has not trained count in them."""
    optimization: Optimization = field(default_factory=Optimization)
    """AdamW or Muon, and its schedule."""
    engine: DeepSpeed = field(default_factory=DeepSpeed)
    """How DeepSpeed runs the model."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    """Measurements on held-out documents."""
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    """When training is saved."""
    tracking: Tracking = field(default_factory=Tracking)
    """What is logged."""
    stability: Stability = field(default_factory=Stability)
    """What is done about numbers that are not finite, and about losses that jump."""
    seed: int = 1
    """Decides initialisation, order, masks and dropout."""
    data_workers: int | None = None
    """Processes that make batches ahead, per rank; 0 makes them in the training process. Left out: 2 to 4 beside a GPU,
    0 on a CPU."""
    threads: int = 0
    """CPU threads per process; 0 divides the cores of the machine."""

    def __post_init__(self) -> None:
        if not self.data or not (self.stages or self.schedule):
            raise ValueError("data and stages: give at least one of each (stages, or a schedule that makes them)")
        self.optimization.check_sharding(self.engine.zero_stage)
        check_data(self.data, self.evaluation.control)
        if self.checkpoints.best:
            self.checkpoints.best.check(self.tasks, self.evaluation.every, self.evaluation.control)
        if not isinstance(self.tasks.get("knowledge_masking", KnowledgeMasking()), KnowledgeMasking):
            raise ValueError(
                "tasks: a task named knowledge_masking must be of kind knowledge_masking (its head is the masked-LM "
                "head of exports)"
            )
        if odd := [name for name in self.tasks if not name or set(name) & set("./")]:
            raise ValueError(
                f"tasks: {odd[0]!r} is no name for a task; leave out `.` and `/` (they separate names of parameters "
                "and figures)"
            )
        if self.evaluation.control and CONTROL.rstrip("/") in self.tasks:
            raise ValueError("tasks: a task cannot be named control beside evaluation.control, whose figures are")
        self._take_stages()
        for name in ("threads", "data_workers"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must not be negative")
        check_samples(self.batches, self.tasks, self.stages)
        ordering = [name for name, task in self.tasks.items() if isinstance(task, TokenOrder)]
        if bool(ordering) != bool(self.masking.shuffle):
            raise ValueError(
                f"tasks: {ordering[0]} of kind token_order needs shuffled tokens; set masking.shuffle: {{}}"
                if ordering
                else (
                    "masking: `shuffle` puts tokens into another order, but no task of kind token_order puts them "
                    "back; add one or leave `shuffle` out"
                )
            )
        if self.model.path == "":
            check_positions(self.batches, self.model.max_positions, "the new model (model.max_positions)")

    def _take_stages(self) -> None:
        """The stages that are written, or those that the schedule makes, with their steps."""
        stages = self._planned(self.schedule.stages(self.tasks) if self.schedule else self.stages)
        if self.schedule and self.stages and self._planned(self.stages) != stages:
            raise ValueError("schedule: it makes the stages; leave `stages` out (or write `stages: []`), or it")
        object.__setattr__(self, "stages", stages)
        self.optimization.check_stages(len(stages), self.model.path)
        if self.model.warm_up_head >= stages[0].steps:
            raise ValueError(
                f"model.warm_up_head: {self.model.warm_up_head} steps must be fewer than the {stages[0].steps} of "
                f"stage {stages[0].name}, the first"
            )
        named = [stage.name for stage in self.stages]
        if len(set(named)) < len(named):
            raise ValueError(
                f"stages: the names {', '.join(named)} must differ (lines of metrics are told apart by them)"
            )

    def _planned(self, stages: Sequence[Stage]) -> list[Stage]:
        found: list[Stage] = []
        for stage in stages:
            found.append(planned_stage(stage, self.tasks, self._room(stage, sum(before.steps for before in found))))
        check_warmups(self.batch, found)
        return found

    def _room(self, stage: Stage, begin: int) -> Room:
        """What a stage that begins at a step of the run has room for: a warm-up in the run's batch is counted from the
        beginning of the run, one in a stage's own from that of the stage."""
        rows = self.batch.step_rows() if stage.batch is None else stage.batch.step_rows(begin)
        return Room(rows, begin, self.batch_of(stage).row)

    def room_of(self, stage: Stage) -> Room:
        """What a stage of the run has room for."""
        earlier = itertools.takewhile(lambda other: other.name != stage.name, self.stages)
        return self._room(stage, sum(other.steps for other in earlier))

    def batch_of(self, stage: Stage) -> Batching:
        """How much text a step of a stage sees."""
        return stage.batch or self.batch

    def step_rows(self, stage: Stage) -> StepRows:
        """The rows of every step of a stage, by the step of the run."""
        return self.room_of(stage).rows

    @property
    def batches(self) -> dict[str, Batching]:
        """All of them by their keys: the run's, and those of stages that have their own."""
        own = {f"stages.{index}.batch": stage.batch for index, stage in enumerate(self.stages)}
        return {"batch": self.batch} | {key: batch for key, batch in own.items() if batch}

    def share_done(self, step: int) -> float:
        """Of all positions of the run, those of the steps before ``step``."""
        done = whole = 0
        for room, steps in ((self.room_of(stage), stage.steps) for stage in self.stages):
            done += room.whole(min(max(step - room.begin, 0), steps)) * room.row_tokens
            whole += room.whole(steps) * room.row_tokens
        return done / whole

    @property
    def even(self) -> bool:
        """Do all steps see as much text?"""
        return len(found := {self.batch_of(stage) for stage in self.stages}) == 1 and not found.pop().warmup

    def check_processes(self, world: int, step: int = 0) -> None:
        """Raise ValueError unless the rows of every step from ``step`` on can be divided by so many processes."""
        for index, stage in enumerate(self.stages):
            batch, room = self.batch_of(stage), self.room_of(stage)
            key = f"stages.{index}.batch" if stage.batch else "batch"
            if step < room.begin + stage.steps:
                batch.accumulation(world, key)
                if max(step, room.begin) < room.rows.begin + room.rows.growing:
                    batch.check_warmup(world, key)

    def builds_rows(self, task: str) -> bool:
        """Does a share give this task rows of its own?"""
        return self.tasks[task].BUILDS_ROWS

    def rows_of(self, stage: Stage) -> dict[str, float]:
        """Rows built for each task of a stage: exact where the stage counts them, shares of all rows where it does
        not."""
        builders = [task for task, amount in stage.tasks.items() if amount_of(amount).value and self.builds_rows(task)]
        return rows_of(stage, builders, self.room_of(stage))

    @property
    def plain_rows(self) -> str:
        """The task whose rows those are measured on that only ride: the first of task id 0 that builds rows, or the
        first that does."""
        builders = [name for name in self.tasks if self.builds_rows(name)]
        return next((name for name in builders if not self.tasks[name].HAS_TASK_ID), builders[0])

    @property
    def task_ids(self) -> dict[str, int]:
        """Row of the task table by task: 0 for all without an id of their own, then the others in order."""
        own = [name for name, task in self.tasks.items() if task.HAS_TASK_ID]
        return {name: own.index(name) + 1 if name in own else 0 for name in self.tasks}
