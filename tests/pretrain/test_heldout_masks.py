"""Held-out figures under the masks of every evaluation, and where asked under the run's own as well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from launch.settings.components import decode, load
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.evaluation.heldout import OWN_MASKS, Evaluation, evaluate, heldout_rows
from pretrain.feed.batch import Batch
from pretrain.feed.sampling import MicroBatchSpec
from pretrain.processes.world import World

ALONE = World(0, 1, torch.device("cpu"))


def configured(tiny_run: Path, evaluation: dict[str, Any]) -> Run:
    """A run that trains without [MASK], as MacBERT does."""
    source = load(tiny_run, [])
    source.value["masking"] = {
        "strategy": {"kind": "subword"},
        "corruption": {"mask": 0, "random": 0.5},
        "budget": {"rate": 0.1, "final_rate": 0.6},
    }
    source.value["evaluation"] = {"rows": 2, **evaluation}
    return decode(Run, source)


class Counting:
    """An engine whose loss is what it is given: the sum of the ids it sees, and the number of targets."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def forward(self, batch: Batch, scale: Mapping[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
        parts = []
        for name in scale:
            groups = self.run.tasks[name].groups
            rows = torch.zeros(1 + len(groups), 3, dtype=torch.float64)
            rows[0] = torch.tensor([int(batch.input_ids.sum()), 0, batch.counts[name]])
            if groups:
                rows[1:, 2] = torch.bincount(batch.targets[name]["kind"], minlength=len(groups))
            parts.append(rows)
        return torch.zeros(()), torch.cat(parts)


def figures(run: Run) -> dict[str, float]:
    measured = evaluate(Counting(run), Corpus(run=run).heldout(list(run.tasks)), run.evaluation.rows, ALONE)
    assert measured is not None
    return measured.values(ALONE)


def test_figures_under_own_masks_come_beside_those_of_every_evaluation_and_change_none(tiny_run: Path) -> None:
    fixed, both = figures(configured(tiny_run, {})), figures(configured(tiny_run, {"masking": "both"}))
    assert not any(name.endswith(OWN_MASKS) for name in fixed)
    assert {name: value for name, value in both.items() if not name.endswith(OWN_MASKS)} == fixed
    own = {name.removesuffix(OWN_MASKS): value for name, value in both.items() if name.endswith(OWN_MASKS)}
    seen = {
        name for name in own if not name.startswith(("loss/", "accuracy/"))
    }  # of groups without a target there is no mean
    assert seen == {name for name in fixed if not name.startswith(("loss/", "accuracy/"))}
    assert {name for name in own if name.count("/") == 1} == {name for name in fixed if name.count("/") == 1}
    # The rate at the end of training is .6, that of every evaluation .15.
    assert 3 < own["targets/knowledge_masking"] / fixed["targets/knowledge_masking"] < 5
    assert {name: own[name] for name in own if name.startswith("majority/")} == {
        name: fixed[name] for name in fixed if name.startswith("majority/")
    }


def test_a_run_without_masks_sees_none_under_its_own(tiny_run: Path) -> None:
    corpus = Corpus(run=configured(tiny_run, {"masking": "both"}))
    makers = corpus.heldout(["knowledge_masking"])
    assert [maker.figures for maker in makers] == [("", ""), ("", OWN_MASKS)]
    rows = [[row for stream in maker.streams.values() for row in heldout_rows(stream, 2)] for maker in makers]
    assert rows[0] == rows[1]
    fixed, own = (maker.packed(MicroBatchSpec(0, rows[0], 1.0)) for maker in makers)
    assert (fixed.original_T == own.original_T).all()
    assert (fixed.corrupted_T == corpus.specials.mask).any() and not (own.corrupted_T == corpus.specials.mask).any()


def test_an_unknown_choice_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"masking: 'own' is not one of fixed, both"):
        Evaluation(masking="own")
