"""How well does a title answer a query? (ERNIE 2.0, Sun et al. 2020, section 4.2.3: IR relevance.)

    0 strong       the title was clicked, or a judge says so
    1 weak         it was shown and not clicked
    2 irrelevant   the title of another query, drawn at training time; or a judge says so

    query  长江在哪里    title  长江源头考察    clicked                           label 0
    query  长江在哪里    title  黄河水文年报    drawn in place of its own title   label 2

    tokens    [CLS] 长 江 在 哪 里 [SEP] 黄 河 水 文 年 报 [SEP]
    segments    0    0  0  0  0  0   0    1  1  1  1  1  1   1

Pairs come from logs (`kind: search_log`) or with labels (`kind: pairs`), whose classes ``grades`` translates. A share
of ``random`` pairs, whatever their grade, gets the title of another pair of the same shard in place of its own: at most
two tokens longer or shorter, of the same source and language, of a query with other words, and never one that also
stands with this query. So neither the length of the title nor where it comes from gives the answer away. A pair for
which no such title is found is not asked, whether or not its title were to be replaced: eligibility does not depend on
the class.

To find such titles, each process keeps about 60 bytes for every pair of the shards it has read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from masking.keyed import combine_array, uniform_array
from pretrain.feed.building import Keys
from pretrain.feed.parts import SLACK, Pairs, drawn_parts, pair_pieces, parts_of
from pretrain.feed.samples import NO_LABEL
from pretrain.feed.texts import Long, Texts, Windows, starts
from pretrain.objectives.pair_classification import PairClassification

TITLE, COIN = 31, 32
"""Sub-keys of a sample's key: of the title that is drawn, and of whether it is taken."""
GRADES = ("strong", "weak", "irrelevant")
IRRELEVANT = 2


@dataclass(frozen=True, kw_only=True)
class SearchRelevance(PairClassification):
    """Is a title strongly, weakly or not at all relevant to a query?"""

    grades: dict[str, str] = field(default_factory=dict)
    """What the classes of its folders mean, as `{"0": irrelevant, "1": weak, "2": strong}`; not needed where they are
    strong, weak and irrelevant."""
    random: float = 1 / 3
    """Share of pairs that get the title of another query."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.random < 1:
            raise ValueError(f"random: {self.random} must lie in [0, 1)")
        if wrong := [grade for grade in self.grades.values() if grade not in GRADES]:
            raise ValueError(f"grades: {wrong[0]!r} is not one of {', '.join(GRADES)}")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Strong, weak and irrelevant."""
        return GRADES

    def special_tokens(self) -> int:
        return 3 + SLACK

    def check(self, seen: list[int]) -> None:
        if unknown := [name for name in self.grades if name not in self.names]:
            raise ValueError(
                f"grades: {unknown[0]!r} is no class of its folders; they have {', '.join(self.names)[:200]}"
            )
        if missing := [name for name in self.names if self._grade(name) not in GRADES]:
            raise ValueError(
                f"grades: say what the class {missing[0]!r} of its folders means, as {missing[0]}: strong (of "
                f"{', '.join(GRADES)})"
            )
        found = {self._grade(self.names[number]) for number in seen} | ({GRADES[IRRELEVANT]} if self.random else set())
        if not seen:
            super().check(seen)
        if len(found) < 2:
            raise ValueError(f"its pairs are all {next(iter(found))}; two grades at least must occur")

    def _grade(self, name: str) -> str:
        return self.grades.get(name, name)

    def pairs(self, texts: Texts, key_W: Keys) -> tuple[Pairs, Long]:
        parts = parts_of(texts)
        asked_W = (parts.total_W == 2) & (parts.count_W == 2) & (parts.label_W >= 0)
        grade_C = np.array([GRADES.index(self._grade(name)) for name in self.names], np.int64)
        label_W = np.where(asked_W, grade_C[np.where(asked_W, parts.label_W, 0)], NO_LABEL)
        if not self.random:
            return pair_pieces(texts, parts), label_W
        window_Q = np.flatnonzero(asked_W)
        title_Q = starts(parts.count_W)[window_Q] + 1
        tokens_Q = parts.end_P[title_Q] - parts.start_P[title_Q]
        drawn, found_Q = drawn_parts(
            texts, window_Q, np.zeros_like(window_Q), tokens_Q, combine_array(key_W[window_Q], TITLE)
        )
        coin_Q = uniform_array(combine_array(key_W[window_Q], COIN), 0) < self.random
        label_W[window_Q] = np.where(found_Q, np.where(coin_Q, IRRELEVANT, label_W[window_Q]), NO_LABEL)
        replaced_W, columns = np.zeros(len(texts), np.bool_), [column.copy() for column in texts.windows.columns]
        replaced_W[window_Q] = found_Q & coin_Q
        for column, other in zip(columns, drawn.columns, strict=True):
            column[window_Q] = other
        return pair_pieces(texts, parts, (Windows(*columns), replaced_W)), label_W
