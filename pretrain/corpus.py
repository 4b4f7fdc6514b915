"""The prepared folders of a run: opened, checked against each other, and turned into streams of rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.encoding import Tokenizer
from data_prep.shards import Prepared
from masking.spans import Part, parts
from pretrain.config import Run
from pretrain.evaluation.heldout import CONTROL, HELDOUT_SEED
from pretrain.feed.building import named
from pretrain.feed.feeds import chosen_folders
from pretrain.feed.hiding import Masking, Specials
from pretrain.feed.loading import BatchMaker
from pretrain.feed.sampling import MicroBatchSpec, RowSpec, Stream
from pretrain.feed.sources import Source
from pretrain.objectives import Objective
from pretrain.order import stream_shares
from pretrain.special_ids import specials
from pretrain.stages.batching import Batching
from pretrain.stages.schedule import Stage

ORDER = "order 2"
"""The law by which windows are cut and ordered (feed/sources.py, feed/sampling.py): a checkpoint of another one cannot
go on."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """All prepared folders of a run."""

    run: Run

    @cached_property
    def prepared(self) -> dict[str, Prepared]:
        """Folders by name.

        Raises:
            ValueError: a folder is not usable, or two were made with different tokenizers.
        """
        opened = {data.label: Prepared.open(Path(data.path)) for data in self.run.data}
        first = next(iter(opened.values()))
        for other in opened.values():
            other.check_tokenizer(first.tokenizer)
        needed = dict.fromkeys(self.run.masking.strategy.levels())
        for name, folder in opened.items():
            missing = [level for level in needed if Part.of(level).level not in folder.levels]
            if missing and name in self.trained:
                raise ValueError(
                    f"masking.strategy hides level {missing[0]!r}, but {name} has only {', '.join(folder.levels)}. Add "
                    "an annotator of that level to the data configuration and prepare again, or change the strategy."
                )
            if not folder.tokens("train"):
                raise ValueError(f"{folder.folder} holds no training document")
        types = dict.fromkeys(label.type for folder in opened.values() for label in folder.labels)
        for level in needed:
            if Part.of(level).type not in {"", *types}:
                raise ValueError(
                    f"masking.strategy hides level {level!r}, but no unit has that type; the types of the data are "
                    f"{', '.join(types) or 'none'}"
                )
        return opened

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that all folders share."""
        return next(iter(self.prepared.values())).tokenizer

    @property
    def fingerprints(self) -> dict[str, str]:
        """What cursors count in: the content of every folder, and the law of the order of its windows."""
        return {name: f"{folder.fingerprint} {ORDER}" for name, folder in self.prepared.items()}

    @cached_property
    def specials(self) -> Specials:
        """Special ids, and what may replace hidden tokens."""
        return specials([self.prepared[name] for name in self.trained], self.run.masking)

    @cached_property
    def trained(self) -> list[str]:
        """Folders that training reads: all but those of weight 0 that no task gives a weight of its own."""
        named = {
            folder for task in self.run.tasks.values() if isinstance(task.folders, dict) for folder in task.folders
        }
        return [data.label for data in self.run.data if data.weight or data.label in named]

    @cached_property
    def feeds(self) -> dict[str, dict[str, Prepared]]:
        """The folders that each task reads.

        Raises:
            ValueError: a task that cannot be fed.
        """
        tasks = self.run.tasks.items()
        return {
            name: chosen_folders(name, type(task).__name__, task.feed(), list(task.folders), self.prepared)
            for name, task in tasks
        }

    @cached_property
    def objectives(self) -> dict[str, Objective]:
        """Every task, bound to its folders.

        Raises:
            ValueError: a task that cannot be trained on them.
        """
        feeds, found = self.feeds, {}
        for name, task in self.run.tasks.items():
            try:
                with named(name, task, "looking at its folders"):
                    found[name] = task.bind(feeds[name])
            except ValueError as error:
                who = f"task {name!r}"
                raise ValueError(
                    str(error) if str(error).startswith(who) else f"{who} ({type(task).__name__}): {error}"
                ) from error
        return found

    @property
    def bound(self) -> Run:
        """The run with its tasks bound to their folders."""
        return replace(self.run, tasks=self.objectives)

    def resolved(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration as plain values, with what its tasks have learned from their folders."""
        tasks = {name: dict(settings) for name, settings in values["tasks"].items()}
        for name, task in self.objectives.items():
            before = self.run.tasks[name]
            tasks[name] |= {
                item.name: getattr(task, item.name)
                for item in fields(task)
                if getattr(task, item.name) != getattr(before, item.name)
            }
        return {**values, "tasks": tasks}

    def try_out(self) -> None:
        """Build a row of every stream of every stage, so that a fault of an objective is found before training.

        Raises:
            ValueError: in the words of what noticed it, with the task's name.
        """
        for stage in self.run.stages:
            maker = self.maker(stage, "train", self.run.masking)
            rows = []
            for name, stream in maker.streams.items():
                windows = stream.source.windows(np.arange(1))
                rows.append(RowSpec(name, 0, windows.take(np.cumsum(stream.lengths(windows)) <= stream.row_tokens)))
            _ = maker[MicroBatchSpec(0, rows, 0.0)]

    def streams(self, stage: Stage, split: str) -> dict[str, Stream]:
        """One stream per folder and row-building task of the stage."""
        batch = self.run.batch_of(stage)
        return {
            f"{folder}/{task}": self._stream(folder, task, split, self.run.seed, share, batch)
            for (folder, task), share in stream_shares(self.run, stage).items()
        }

    def _stream(self, folder: str, task: str, split: str, seed: int, share: float, batch: Batching) -> Stream:
        objective = self.objectives[task]
        feed, room = objective.feed(), batch.max_sample_tokens - objective.special_tokens()
        source = Source(
            name=folder,
            prepared=self.prepared[folder],
            split=feed.split if split == "train" else feed.heldout,
            max_tokens=room,
            parts=parts(self.run.masking.strategy.levels()),
            whole=feed.whole,
        )
        return Stream(source=source, task=task, objective=objective, row_tokens=batch.row, seed=seed, share=share)

    def maker(self, stage: Stage, split: str, masking: Masking) -> BatchMaker:
        """What makes the batches of a stage; where none of its tasks reads hidden tokens, training hides none."""
        tasks = [name for name in self.run.tasks if name in stage.tasks]
        hides = split != "train" or any(self.objectives[name].READS_HIDDEN for name in tasks)
        hidden, batch = masking if hides else None, self.run.batch_of(stage)
        return self._maker(self.streams(stage, split), tasks, hidden, split, self.run.seed, batch)

    def trial(self, task: str, split: str) -> BatchMaker:
        """What makes batches of rows built for one task, for looking at: `train` or `heldout`, under the run's own
        masks."""
        run = self.run
        rows = task if run.builds_rows(task) else run.plain_rows
        streams = (self._stream(folder, rows, split, run.seed, 1.0, run.batch) for folder in self.feeds[rows])
        named_streams = {stream.name: stream for stream in streams}
        return self._maker(named_streams, [task], run.masking, split, run.seed, run.batch)

    def heldout(self, tasks: Collection[str]) -> list[BatchMaker]:
        """What makes the batches of an evaluation of ``tasks``, under the masks that every evaluation uses, or the
        run's own as well.

        Each task that builds rows is measured on rows of its own, the others on plain ones, and each folder under the
        levels it has: the figures of one do not change when another joins. Neither the seed of the run nor its stage
        decides which rows these are: they have the lengths of the run's `batch`, whatever those of the stage. Figures
        of the control set begin with `control/`.
        """
        groups: dict[str, list[str]] = {self.run.plain_rows: []}
        for name in (name for name in self.run.tasks if name in tasks):
            groups.setdefault(name if self.run.builds_rows(name) else self.run.plain_rows, []).append(name)
        makers = []
        for rows, names in ((rows, names) for rows, names in groups.items() if names):
            for folder in self.feeds[rows]:
                stream = self._stream(folder, rows, "heldout", HELDOUT_SEED, 1.0, self.run.batch)
                for figures, masking in self.run.evaluation.maskings(
                    stream.source.prepared.levels, self.run.masking
                ).items():
                    maker = self._maker({stream.name: stream}, names, masking, "heldout", HELDOUT_SEED, self.run.batch)
                    control = CONTROL if folder in self.run.evaluation.control else ""
                    makers.append(replace(maker, figures=(control, figures)))
        return makers

    def _maker(
        self,
        streams: Mapping[str, Stream],
        tasks: Sequence[str],
        masking: Masking | None,
        split: str,
        seed: int,
        batch: Batching,
    ) -> BatchMaker:
        return BatchMaker(
            streams=streams,
            objectives={name: self.objectives[name] for name in tasks},
            masking=masking,
            specials=self.specials,
            task_ids=self.run.task_ids,
            row_tokens=batch.row,
            max_sample_tokens=batch.max_sample_tokens,
            segment_types=None if self.run.model.path else self.run.model.segment_types,
            seed=seed,
            salt=split,
        )
