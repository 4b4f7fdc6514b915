"""The baseline finds what lengths, places, sources and overlap tell, and nothing where they tell nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import TINY_RUN

from launch.settings.components import read_config
from masking.keyed import uniform
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.hiding import Specials
from pretrain.feed.packed import Packed
from pretrain.feed.samples import Sample
from pretrain.feed.texts import Text
from pretrain.leaks.features import Table
from pretrain.leaks.logistic import Score, baseline, majority
from pretrain.leaks.trial import look
from pretrain.objectives import SentencePrediction, plain_sample
from pretrain.objectives.quick_thoughts import QuickThoughts


@dataclass(frozen=True, kw_only=True)
class Answered(SentencePrediction):
    """A task whose class is told by something else than the text, or by nothing."""

    by: str = "nothing"

    @property
    def classes(self) -> int:
        return 2

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample:
        told = {
            "nothing": uniform(key, 77) < 0.5,
            "length": len(text.token_ids_T) > 45,
            "position": text.start > 0,
            "source": text.shard.text_of("language", text.document) == "zh",
        }
        return replace(plain_sample(text, key, name, specials), labels={name: int(told[self.by])})


def tables(prepared: Path, tmp_path: Path, by: str) -> tuple[Table, Table]:
    file = tmp_path / "run.yaml"
    file.write_text(TINY_RUN.format(output=tmp_path / "run", data=prepared), encoding="utf-8")
    run = read_config(Run, file, [])
    run = replace(run, tasks={**run.tasks, "sentence_reordering": Answered(by=by)})
    return tuple(look(Corpus(run=run), "sentence_reordering", split, 250).table for split in ("train", "heldout"))  # type: ignore[return-value]


@pytest.mark.parametrize("by", ["length", "position", "source"])
def test_a_leak_is_found_by_the_features_that_tell_it(prepared: Path, tmp_path: Path, by: str) -> None:
    fitted, asked = tables(prepared, tmp_path, by)
    assert baseline(fitted, asked, {by}).accuracy > 0.97
    assert majority(fitted, asked).accuracy < 0.95


def test_labels_that_nothing_tells_are_not_found(prepared: Path, tmp_path: Path) -> None:
    fitted, asked = tables(prepared, tmp_path, "nothing")
    found = baseline(fitted, asked, {"length", "position", "source", "overlap"})
    assert abs(found.accuracy - 0.5) < 4 * found.error


def test_the_segments_of_a_reordered_text_tell_how_many_there_are(prepared: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(TINY_RUN.format(output=tmp_path / "run", data=prepared), encoding="utf-8")
    corpus = Corpus(run=read_config(Run, file, []))
    seen = look(corpus, "sentence_reordering", "train", 250)
    assert seen.samples >= 250 and seen.unasked + sum(seen.classes.values()) == seen.samples
    assert seen.targets == len(seen.table) == sum(seen.classes.values())
    table = seen.table
    found = baseline(table, table, {"length"})
    # n of 1, 2 or 3 is seen by [SEP]; of n orders one is guessed: 1/3 of the classes are sure, 1/2 and 1/6 of the others
    assert majority(table, table).accuracy + 0.1 < found.accuracy < 0.9
    assert set(seen.examples) == {label for label, count in seen.classes.items() if count}


@dataclass(frozen=True, kw_only=True)
class NearestLength(QuickThoughts):
    """Which candidate has about as many tokens? The class is told by lengths alone."""

    def targets(self, packed: Packed, name: str) -> tuple[Mapping[str, Any], int]:
        arrays, count = super().targets(packed, name)
        length_S = packed.samples.length_S
        apart_MK = np.abs(length_S[arrays["candidate"]] - length_S[arrays["sample"]][:, None])
        return {**arrays, "label": apart_MK.argmin(1)}, count


def test_choices_are_judged_by_what_each_candidate_has_in_common(prepared: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(TINY_RUN.format(output=tmp_path / "run", data=prepared), encoding="utf-8")
    run = read_config(Run, file, [])
    for task, low, high in ((QuickThoughts(), 0.0, 0.45), (NearestLength(), 0.7, 1.0)):
        corpus = Corpus(run=replace(run, tasks={**run.tasks, "sentence_reordering": task}))
        seen = look(corpus, "sentence_reordering", "train", 800)
        assert seen.targets == len(seen.table) > 100
        # a pair is two samples, asked together
        assert seen.samples - seen.unasked == 2 * seen.targets
        assert low <= baseline(seen.table, seen.table, {"length"}).accuracy <= high
        found = {group for group, _ in seen.table.columns()}
        assert found == {"length", "overlap", "source"}


def test_scores_have_the_error_of_a_share() -> None:
    rows = [{("length", "a"): float(number % 2)} for number in range(100)]
    table = Table(rows=rows, label_N=np.array([number % 2 for number in range(100)]))
    assert baseline(table, table, {"length"}) == Score(1.0, 0.0)
    assert majority(table, table) == Score(0.5, 0.05)
    assert Table.join([table, table]).columns() == [("length", "a")]
