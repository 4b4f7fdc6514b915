"""Everything that `kmask train` needs to know, as frozen dataclasses (launch/settings/components.py builds them)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pretrain.evaluation.heldout import Evaluation
from pretrain.feed.hiding import Masking
from pretrain.network.encoder import Model
from pretrain.objectives import Objective
from pretrain.objectives.knowledge_masking import KnowledgeMasking
from pretrain.objectives.token_order import TokenOrder
from pretrain.optimization import Optimization
from pretrain.schedule import Stage, amount_of, rows_of, with_steps
from pretrain.settings import DeepSpeed
from pretrain.stability import Stability
from pretrain.tracking import Tracking

LEAST_SAMPLE = 14
"""Tokens of the shortest sample that makes sense."""
LEAST_TEXT = 8
"""Of them, those that must be left for text."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """One prepared folder."""

    path: str
    """Folder made by `kmask prepare`."""
    name: str = ""
    """Name for logs and cursors; the folder's name by default."""
    weight: float = 1.0
    """Share of rows relative to the other folders."""

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"weight: {self.weight} must be positive")

    @property
    def label(self) -> str:
        """Its name in logs and cursors."""
        return self.name or self.path.rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How much text a step sees."""

    max_sample_tokens: int = 128
    """Longest sample, special tokens included."""
    row_tokens: int = 0
    """Length of a packed row; 0 means 8 x max_sample_tokens."""
    rows_per_step: int = 8
    """Rows of one optimiser step over all processes: the global batch, unchanged when the number of processes
    changes."""
    rows_per_process: int = 1
    """Rows that a process feeds the model at once; the rest is gradient accumulation."""

    def __post_init__(self) -> None:
        if self.max_sample_tokens < LEAST_SAMPLE:
            raise ValueError(f"max_sample_tokens: {self.max_sample_tokens} must be at least {LEAST_SAMPLE}")
        if self.row_tokens and self.row_tokens < self.max_sample_tokens:
            raise ValueError(
                f"row_tokens: {self.row_tokens} must be 0 or at least max_sample_tokens = {self.max_sample_tokens}"
            )
        for name in ("rows_per_step", "rows_per_process"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")

    @property
    def row(self) -> int:
        """Length of a row in tokens."""
        return self.row_tokens or 8 * self.max_sample_tokens

    def accumulation(self, world: int) -> int:
        """Micro-batches per step and process.

        Raises:
            ValueError: the rows of a step cannot be divided evenly.
        """
        whole = world * self.rows_per_process
        if self.rows_per_step % whole:
            raise ValueError(
                f"batch.rows_per_step = {self.rows_per_step} cannot be divided by {world} processes x rows_per_process "
                f"= {self.rows_per_process}; use a multiple of {whole}"
            )
        return self.rows_per_step // whole


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """When training is saved."""

    every: int = 500
    """Steps between checkpoints; the end of a stage is always saved."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""

    def __post_init__(self) -> None:
        for name in ("every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A pretraining run."""

    output: str
    """Folder of the run. Running again continues it."""
    data: list[Data]
    """Prepared folders, all with the same tokenizer."""
    stages: list[Stage]
    """What is trained, in order."""
    model: Model = field(default_factory=Model)
    """Shape of the encoder, or a checkpoint to continue from."""
    masking: Masking = field(default_factory=Masking)
    """What is hidden and how."""
    tasks: dict[str, Objective] = field(default_factory=lambda: {"knowledge_masking": KnowledgeMasking()})
    """Every task of the run by name, in the order in which they join; new ones are added at the end."""
    batch: Batching = field(default_factory=Batching)
    """How much text a step sees."""
    optimization: Optimization = field(default_factory=Optimization)
    """AdamW and its schedule."""
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
        if not self.data or not self.stages:
            raise ValueError("data and stages: give at least one of each")
        names = [data.label for data in self.data]
        if len(set(names)) < len(names):
            raise ValueError(f"data: the names {names} must differ; set `name`")
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
        named = [stage.name for stage in self.stages]
        if len(set(named)) < len(named):
            raise ValueError(
                f"stages: the names {', '.join(named)} must differ (lines of metrics are told apart by them)"
            )
        for name in ("threads", "data_workers"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must not be negative")
        for name, task in self.tasks.items():
            if (room := self.batch.max_sample_tokens - task.special_tokens()) < LEAST_TEXT:
                raise ValueError(
                    f"tasks: {name} leaves {room} tokens of a sample for text; raise batch.max_sample_tokens"
                )
        self._plan()
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
        if self.model.path == "" and self.model.max_positions < self.batch.max_sample_tokens:
            raise ValueError(
                f"batch: max_sample_tokens {self.batch.max_sample_tokens} exceeds model.max_positions = "
                f"{self.model.max_positions}"
            )

    def _plan(self) -> None:
        object.__setattr__(self, "stages", [self._planned(stage) for stage in self.stages])
        self.optimization.check_stages(len(self.stages), self.model.path)

    def _planned(self, stage: Stage) -> Stage:
        """A stage whose steps are known.

        Raises:
            ValueError: it cannot be trained as it is written.
        """
        unknown = [task for task in stage.tasks if task not in self.tasks]
        if unknown:
            raise ValueError(
                f"stages: {stage.name} trains {unknown[0]!r}, which is not in tasks ({', '.join(self.tasks)})"
            )
        idle = [
            task for task, amount in stage.tasks.items() if self.tasks[task].HAS_TASK_ID and not amount_of(amount).value
        ]
        if idle:
            raise ValueError(
                f"stages: {stage.name} gives {idle[0]} no rows; leave it out, then its head stays as it is until a "
                "later stage takes it up"
            )
        riding = [
            task for task, amount in stage.tasks.items() if amount_of(amount).counted and not self.builds_rows(task)
        ]
        if riding:
            raise ValueError(
                f"stages: {stage.name} counts rows of {riding[0]}, which rides on the rows of others; give it the "
                "share 0"
            )
        builders = [task for task, amount in stage.tasks.items() if amount_of(amount).value and self.builds_rows(task)]
        if not builders:
            able = ", ".join(task for task in stage.tasks if self.builds_rows(task)) or "no task of it builds any"
            raise ValueError(
                f"stages: {stage.name} builds no rows; give a task that builds rows a share above 0 ({able})"
            )
        return with_steps(stage, builders, self.batch.rows_per_step, self.batch.row)

    def builds_rows(self, task: str) -> bool:
        """Does a share give this task rows of its own?"""
        return self.tasks[task].BUILDS_ROWS

    def rows_of(self, stage: Stage) -> dict[str, float]:
        """Rows built for each task of a stage: exact where the stage counts them, shares of all rows where it does
        not."""
        builders = [task for task, amount in stage.tasks.items() if amount_of(amount).value and self.builds_rows(task)]
        return rows_of(stage, builders, self.batch.rows_per_step, self.batch.row)

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
