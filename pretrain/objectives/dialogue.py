"""Is a dialogue real, or was one of its turns replaced by a turn of another dialogue? (ERNIE 1.0, Sun et al. 2019,
section 3.3: dialogue language model.)

    Q: 你多大了   R: 八岁   Q: 你家在哪        label 0, real
    Q: 你多大了   R: 很好吃   Q: 你家在哪      label 1, a turn of another dialogue stands in place of one

    tokens    [CLS] 你 多 大 了 [SEP] 八 岁 [SEP] 你 家 在 哪 [SEP]
    segments    0    0  0  0  0   0    1  1   1    0  0  0  0   0       the roles, as ERNIE 1.0's dialogue embedding

Dialogues are prepared with `kind: dialogues`; the roles of their turns, as QRQ, QRR or QQR, are the segments. Hidden
tokens are predicted as in any sample, so that a turn is completed from the others.

Windows join turns up to the sample's length; of one with more than ``turns`` a run is drawn. First a turn that lies
whole in it is drawn, then a turn to stand for it: of the same role, source and language, at most two tokens longer or
shorter, of another dialogue of the shard, unlike all turns of this one. A coin says last whether it does. So neither
role, place nor length tells, and which dialogues are asked does not depend on the class. One of fewer turns than
``least``, or without such a turn elsewhere, is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.shards import Prepared
from masking.keyed import combine_array, uniform_array
from pretrain.feed.building import Built, Keys, each
from pretrain.feed.hiding import Specials
from pretrain.feed.joining import Pieces, joined_samples
from pretrain.feed.parts import SLACK, Parts, drawn_parts, parts_of
from pretrain.feed.samples import NO_LABEL, Sample
from pretrain.feed.texts import Long, Text, Texts, Windows, starts
from pretrain.objectives import SentencePrediction

RUN, TURN, OTHER, COIN = 33, 34, 35, 36
"""Sub-keys of a sample's key: of the run of turns, of the turn that is asked about, of the one that may stand for it,
and of whether it does."""


@dataclass(frozen=True, kw_only=True)
class Dialogue(SentencePrediction):
    """Is this dialogue real?"""

    turns: int = 8
    """Most turns of a sample."""
    least: int = 3
    """Fewest turns of a dialogue that is asked."""
    hide: bool = True
    """May tokens of its samples be hidden, so that the tasks that hide tokens learn from them, too?"""
    roles: list[str] = field(default_factory=list)
    """The roles of its folders, in the order of their segments; learned from them. More than two need
    `model.segment_types`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.least <= self.turns:
            raise ValueError(f"least: {self.least} must lie between 2 and turns ({self.turns})")

    @property
    def classes(self) -> int:
        """Real or not."""
        return 2

    @property
    def class_names(self) -> tuple[str, ...]:
        """Real, or with a turn of another dialogue."""
        return ("real", "replaced")

    def special_tokens(self) -> int:
        return 1 + self.turns + SLACK

    def bind(self, prepared: Mapping[str, Prepared]) -> Dialogue:
        found: list[str] = []
        for label, folder in prepared.items():
            own = list(folder.roles.get("train", ()))
            if not own:
                raise ValueError(f"{label} holds no dialogues; prepare them with `kind: dialogues`")
            if found and own != found:
                raise ValueError(f"its folders have different roles ({', '.join(found)}; {', '.join(own)})")
            if sum(entry.documents for entry in folder.entries if entry.split == "train") < 2:
                raise ValueError(f"{label} holds one dialogue; turns are replaced by those of others")
            found = own
        if self.roles and self.roles != found:
            raise ValueError(
                f"roles: {', '.join(self.roles)} were learned before, but its folders have {', '.join(found)}"
            )
        return replace(self, roles=found)

    def build(self, text: Text, key: int, name: str, specials: Specials) -> Sample:
        return self.built(Texts.of([text]), np.array([key], np.uint64), name, specials).samples[0]

    def build_all(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        if type(self).build is not Dialogue.build:
            return each(self.build, texts, key_W, name, specials)
        return self.built(texts, key_W, name, specials)

    def built(self, texts: Texts, key_W: Keys, name: str, specials: Specials) -> Built:
        """A sample of every window."""
        parts = self._run(parts_of(texts), key_W)
        count_W = np.maximum(parts.count_W, 1)
        window_P, known_P = np.repeat(np.arange(len(texts)), count_W), np.repeat(parts.count_W > 0, count_W)
        columns, role_P = [column[window_P] for column in texts.windows.columns], np.zeros(len(window_P), np.int64)
        columns[2][known_P], columns[3][known_P], role_P[known_P] = parts.start_P, parts.end_P, parts.role_P
        label_W = np.full(len(texts), NO_LABEL)
        window_Q, turn_Q = self._turns(parts, key_W)
        tokens_Q = (parts.end_P - parts.start_P)[turn_Q]
        drawn, found_Q = drawn_parts(
            texts, window_Q, parts.role_P[turn_Q], tokens_Q, combine_array(key_W[window_Q], OTHER)
        )
        coin_Q = uniform_array(combine_array(key_W[window_Q], COIN), 0) < 0.5
        label_W[window_Q] = np.where(found_Q, coin_Q, NO_LABEL)
        replaced_Q = found_Q & coin_Q
        place_Q = np.flatnonzero(known_P)[turn_Q[replaced_Q]]
        for column, other in zip(columns, drawn.columns, strict=True):
            column[place_Q] = other[replaced_Q]
        pieces = Pieces(
            texts=texts.read(Windows(*columns)),
            count_S=count_W,
            segment_P=role_P,
            window_S=np.arange(len(texts)),
            labels={name: label_W},
            hide_S=None if self.hide else np.zeros(len(texts), np.bool_),
        )
        return joined_samples(texts, pieces, key_W, name, specials)

    def _run(self, parts: Parts, key_W: Keys) -> Parts:
        """At most ``turns`` turns of each window, one after another."""
        more_W = np.maximum(parts.count_W - self.turns, 0)
        skip_W = (uniform_array(combine_array(key_W, RUN), 0) * (more_W + 1)).astype(np.int64)
        place_P = np.arange(len(parts.start_P)) - (starts(parts.count_W)[:-1] + skip_W)[parts.window_P]
        kept_P: npt.NDArray[Any] = (place_P >= 0) & (place_P < self.turns)
        return Parts(parts.count_W - more_W, parts.total_W, parts.label_W, *(column[kept_P] for column in parts[3:]))

    def _turns(self, parts: Parts, key_W: Keys) -> tuple[Long, Long]:
        """The windows that may be asked, and a whole turn of each."""
        asked_W = (parts.count_W >= self.least) & (parts.total_W > 1)
        whole_T = np.flatnonzero(parts.whole_P & asked_W[parts.window_P])
        count_W = np.bincount(parts.window_P[whole_T], minlength=len(asked_W))
        window_Q = np.flatnonzero(count_W)
        draw_Q = uniform_array(combine_array(key_W[window_Q], TURN), 0)
        return window_Q, whole_T[starts(count_W)[window_Q] + (draw_Q * count_W[window_Q]).astype(np.int64)]
