"""Cloze test on held-out text: units of knowledge are hidden whole, one at a time, and asked for.

    他 在 [MASK] [MASK] [MASK] [MASK] 工 作    entity 北 京 大 学   tokens right 3 of 4, the unit wrong

`accuracy/KIND`       share of tokens that the model puts first, all tokens of the unit hidden together
`unit_accuracy/KIND`  share of units of which every token is put first
`perplexity/KIND`     e to the mean negative log probability of a token, where the unit is read from left to right:
                      each token is asked with itself and the rest of the unit hidden (Kauf & Ivanova 2023; the
                      pseudo-log-likelihood of Salazar et al. 2020 hides one token and shows the rest of its unit)

Each also by length, `.../2`, by whether the tokens stand in the window only once (`.../once`: nothing to copy), and
for entities by how often they are entities in training text, `.../seen 10-99`. A sample has one hidden unit, so what
is asked of one does not depend on what else is hidden; the price is one reading of the window a unit for accuracy, one
a token of the unit for perplexity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from data_prep.shards import MANIFEST, Prepared
from masking.spans import KINDS
from pretrain.evaluation.blanks import Answers, Blanked, ask, blanked, check_head, left_to_right
from pretrain.evaluation.frequencies import LEVEL, SEEN, group_name, open_training, surface_counts
from pretrain.evaluation.hidden_units import Probe, check_vocabulary, probes
from pretrain.evaluation.measures import Measure, Say
from pretrain.evaluation.metrics import Floats, Outcome
from pretrain.evaluation.results import Found
from pretrain.evaluation.subjects import Subject
from pretrain.feed.sources import Source

LONGEST_GROUP = 4
"""Units of so many tokens and more are one group."""
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Cloze(Measure):
    """Hidden words, phrases and entities of held-out documents."""

    PAPER: ClassVar[str] = "Kauf & Ivanova 2023 (perplexity); Petroni et al. 2019 (cloze as a probe of knowledge)"

    data: str
    """Prepared folder; its held-out documents are read. Every model must know its vocabulary, as it is or extended."""
    training: list[str] = field(default_factory=list)
    """Prepared folders whose training documents are counted: figures of entities by how often they stand there."""
    units: int = 500
    """Units of each kind, chosen by keys: the same for every model. All, where there are not so many."""
    windows: int = 4000
    """Windows of held-out text that they are chosen from, themselves chosen by keys."""
    longest: int = 128
    """Tokens of a window with [CLS] and [SEP]."""
    kinds: list[str] = field(default_factory=lambda: list(reversed(KINDS)))
    """Which kinds of units are asked."""
    perplexity: bool = True
    """Is perplexity measured too? It takes one reading of the window for each token of a unit."""

    def __post_init__(self) -> None:
        for name in ("units", "windows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if self.longest < 8:
            raise ValueError(f"longest: {self.longest} must be at least 8 tokens")
        for folders in (self.kinds, self.training):
            if len(set(folders)) < len(folders):
                raise ValueError(f"{'kinds' if folders is self.kinds else 'training'}: {folders} names one twice")
        if not self.kinds or (wrong := [kind for kind in self.kinds if kind not in KINDS]):
            raise ValueError(f"kinds: {', '.join(wrong) if self.kinds else 'none'}; any of {', '.join(KINDS)}")
        if self.training and LEVEL not in self.kinds:
            raise ValueError(f"training: entities are counted there, but `kinds` leaves {LEVEL} out")

    def files(self) -> Sequence[Path]:
        prepared = Prepared.open(Path(self.data))
        open_training([Path(folder) for folder in self.training], prepared)
        return [Path(folder) / MANIFEST for folder in (self.data, *self.training)]

    def check(self, subject: Subject) -> None:
        check_head(subject, self.longest)
        check_vocabulary(Prepared.open(Path(self.data)), subject)

    def measure(self, subject: Subject, piece: str, device: torch.device, say: Say) -> Found:
        prepared = Prepared.open(Path(self.data))
        source = Source(name="cloze", prepared=prepared, split="heldout", max_tokens=self.longest - 2)
        asked, present = probes(source, self.windows, self.units, self.kinds)
        if not asked:
            raise ValueError(f"data: {self.data} has none of {', '.join(self.kinds)} in its held-out documents")
        read = self._read(asked, prepared.tokenizer.special_ids["[MASK]"])
        answers = ask(subject, [sample for samples in read for sample in samples], device, say)
        rows = _rows([probe.last - probe.first for probe in asked], answers)
        outcomes = {
            f"{figure}/{kind}{group}": Outcome(
                metric="exp_ratio" if figure == "perplexity" else "ratio",
                rows=rows[figure][chosen_U],
                lower_is_better=figure == "perplexity",
            )
            for kind in self.kinds
            for group, chosen_U in self._groups(prepared, asked, kind)
            for figure in ("unit_accuracy", "accuracy", "perplexity")
            if figure in rows
        }
        facts = {
            "units": {kind: sum(probe.kind == kind for probe in asked) for kind in self.kinds},
            "units in these windows": present,
            "tokens read": sum(len(sample.ids_T) for samples in read for sample in samples),
        }
        return Found(outcomes=outcomes, facts=facts)

    def _read(self, asked: Sequence[Probe], mask: int) -> list[list[Blanked]]:
        """Of each unit the sample in which it is hidden whole, then, for perplexity, those in which it is read on."""
        found = []
        for probe in asked:
            places = np.arange(probe.first, probe.last)
            rest = left_to_right(probe.ids_T, probe.first, probe.last, mask)[1:] if self.perplexity else []
            found.append([blanked(probe.ids_T, places, places, mask), *rest])
        return found

    def _groups(self, prepared: Prepared, asked: Sequence[Probe], kind: str) -> Iterator[tuple[str, Flags]]:
        """Units of a kind, all and by group: (end of the figure's name, bool[U])."""
        mine_U = np.array([probe.kind == kind for probe in asked])
        length_U = np.minimum([probe.last - probe.first for probe in asked], LONGEST_GROUP)
        groups = {"": mine_U, "/once": mine_U & ~np.array([probe.elsewhere for probe in asked])}
        if kind != KINDS[0]:
            for length in range(1, LONGEST_GROUP + 1):
                groups[f"/{length}{'+' * (length == LONGEST_GROUP)}"] = mine_U & (length_U == length)
        if kind == LEVEL and self.training:
            surfaces = [probe.surface for probe in asked]
            folders = open_training([Path(folder) for folder in self.training], prepared)
            counts = surface_counts(folders, {surface for surface, mine in zip(surfaces, mine_U, strict=True) if mine})
            count_U = np.array([counts.get(surface, -1) for surface in surfaces])
            for least, most in SEEN:
                seen_U = (count_U >= least) & (count_U <= (np.inf if most is None else most))
                groups[f"/{group_name(least, most)}"] = mine_U & seen_U
        yield from ((name, chosen_U) for name, chosen_U in groups.items() if chosen_U.any())


def _rows(tokens_U: Sequence[int], answers: Answers) -> dict[str, Floats]:
    """(U, 2) by figure, of answers that lie unit by unit: first to the unit hidden whole, then to it read on."""
    count_U = np.array(tokens_U)
    perplexity = len(answers.first_M) > count_U.sum()
    answers_U = 2 * count_U - 1 if perplexity else count_U
    unit_M = np.repeat(np.arange(len(count_U)), answers_U)
    place_M = np.arange(len(unit_M)) - np.repeat(np.cumsum(answers_U) - answers_U, answers_U)
    whole_M = place_M < count_U[unit_M]
    right_U = np.bincount(unit_M[whole_M], answers.first_M[whole_M], len(count_U))
    rows = {
        "unit_accuracy": np.stack([right_U == count_U, np.ones(len(count_U))], 1).astype(np.float64),
        "accuracy": np.stack([right_U, count_U], 1).astype(np.float64),
    }
    if perplexity or not (count_U > 1).any():
        read_on_M = (place_M == 0) | ~whole_M
        loss_U = np.bincount(unit_M[read_on_M], -answers.log_probability_M[read_on_M], len(count_U))
        rows["perplexity"] = np.stack([loss_U, count_U], 1).astype(np.float64)
    return rows
