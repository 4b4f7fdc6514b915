"""Two small texts on which docs/masking.md draws every scheme; what the budget rules do to units of several lengths.

    {哈尔滨 工业 大学} 的 (研究 团队)

{entity} (phrase) and words between spaces; a Chinese character is a token, `im+proved` are two.

Everything is computed under a fixed key, so the page says what the code does today.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from launch.views.masks.comparison import pieces_of
from launch.views.words import cells

if TYPE_CHECKING:
    from masking.budget import Budget
    from masking.salience import Rarity
    from pretrain.feed.hiding import Masking, Specials
    from pretrain.feed.samples import Sample

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BRACKETS = {"(": "phrase", ")": "phrase", "{": "entity", "}": "entity"}
KEY = 1802
"""Under it, every kind of replacement is seen, and no two schemes but `mixture` and its member hide the same."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A text with its units."""

    text: str
    others: str
    """Further entries of the vocabulary, as random tokens."""
    similar: str
    """`word>similar word`, both with as many tokens."""
    documents: dict[str, int]
    """In how many of 10,000 documents an entity occurs."""
    letters: bool
    """Is the text written in words (and not in Chinese characters)?"""

    def tokens_of(self, word: str) -> list[str]:
        """Tokens of a word as it is written here."""
        first, *rest = word.split("+")
        return [first, *(f"##{piece}" for piece in rest)] if self.letters else list(word)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Ids by token."""
        words = [
            word.strip("(){}")
            for word in (self.text + " " + self.others + " " + self.similar.replace(">", " ")).split()
        ]
        tokens = dict.fromkeys([*SPECIALS, *(token for word in words for token in self.tokens_of(word))])
        return {token: index for index, token in enumerate(tokens)}

    @cached_property
    def tokens(self) -> list[str]:
        """The text with its special tokens."""
        return [
            "[CLS]",
            *(token for word in self.text.split() for token in self.tokens_of(word.strip("(){}"))),
            "[SEP]",
        ]

    def ids(self, tokens: Sequence[str]) -> Any:
        """int64[T]."""
        import numpy as np

        return np.array([self.vocabulary[token] for token in tokens], np.int64)

    @cached_property
    def units(self) -> dict[str, list[tuple[int, int]]]:
        """Units by level: words of several tokens, phrases and entities."""
        found: dict[str, list[tuple[int, int]]] = {"word": [], "phrase": [], "entity": []}
        open_at: dict[str, int] = {}
        place = 1
        for word in self.text.split():
            if word[0] in BRACKETS:
                open_at[BRACKETS[word[0]]] = place
            size = len(self.tokens_of(word.strip("(){}")))
            found["word"] += [(place, place + size)] if size > 1 else []
            place += size
            if word[-1] in BRACKETS:
                found[BRACKETS[word[-1]]].append((open_at[BRACKETS[word[-1]]], place))
        return found

    @cached_property
    def sample(self) -> Sample:
        """The text as training has it."""
        import numpy as np

        from masking.keyed import hash_key
        from pretrain.feed.samples import Sample

        total = len(self.tokens)
        maskable_T = np.ones(total, np.bool_)
        maskable_T[[0, -1]] = False
        units = {level: tuple(np.array(pairs, np.int64).reshape(-1, 2).T) for level, pairs in self.units.items()}
        ends = [place + 1 for place, token in enumerate(self.tokens) if token in (".", "。")]
        return Sample(
            token_ids_T=self.ids(self.tokens),
            maskable_T=maskable_T,
            segment_ids_T=np.zeros(total, np.int64),
            units=units,  # type: ignore[arg-type]
            task="knowledge_masking",
            labels={},
            key=hash_key("docs/masking.md", KEY),
            document_id="example",
            first_token=0,
            sentence_ends_S=np.array(ends, np.int64),
        )

    @cached_property
    def specials(self) -> Specials:
        """What masking knows of the vocabulary and of a corpus around this text."""
        import numpy as np

        from masking.corruption import Replacements
        from masking.sequences import SimilarWords
        from pretrain.feed.hiding import Specials

        sides = [[self.ids(self.tokens_of(word)) for word in pair.split(">")] for pair in self.similar.split()]
        columns = [
            (np.concatenate(side), np.cumsum([0, *map(len, side)]))
            for side in ([pair[0] for pair in sides], [pair[1] for pair in sides])
        ]
        ordinary_V = np.arange(len(SPECIALS), len(self.vocabulary))
        counts = 1 + np.bincount(self.ids(self.tokens), minlength=len(self.vocabulary))[ordinary_V]
        similar = SimilarWords.build(*columns[0], *columns[1])
        replacements = Replacements(mask_id=4, unknown_id=1, ordinary_V=ordinary_V, count_V=counts, similar=similar)
        return Specials(pad=0, cls=2, sep=3, replacements=replacements, rarity={"entity": self.rarity})

    @cached_property
    def rarity(self) -> Rarity:
        """Of the entities."""
        import numpy as np

        from masking.salience import Rarity, hashes

        found = {}
        for start, end in self.units["entity"]:
            name = "".join(self.tokens[start:end]) if not self.letters else " ".join(self.tokens[start:end])
            found[int(hashes(self.sample.token_ids_T, np.array([start]), np.array([end]))[0])] = self.documents[name]
        keys = sorted(found)
        return Rarity.of_counts(np.array(keys, np.uint64), np.array([found[key] for key in keys]), 10_000)

    def draw(self, masking: Masking) -> list[str]:
        """Two lines: the text with its units in brackets, and what the model sees for hidden tokens (`__`: [MASK])."""
        from rich.cells import cell_len

        from pretrain.feed.packed import pack

        packed = pack([[self.sample]], len(self.tokens), masking, self.specials, 0.5)
        text, seen = "", ""
        drawn = pieces_of(packed, list(self.vocabulary))
        for piece, cell in list(zip(drawn, cells(drawn), strict=True))[1:-1]:
            number = next(
                index for index, word in enumerate(cell) if word.text in (piece.token, piece.token.removeprefix("##"))
            )
            before, token, after = (
                "".join(word.text for word in part)
                for part in (cell[:number], cell[number : number + 1], cell[number + 1 :])
            )
            shown = {"": "", "mask": "_" * cell_len(token)}.get(piece.action, piece.replaced_by.removeprefix("##"))
            size = max(cell_len(token), cell_len(shown))
            text += before + token + " " * (size - cell_len(token)) + after
            seen += " " * cell_len(before) + shown + " " * (size - cell_len(shown)) + " " * cell_len(after)
        return [text.strip(), seen.rstrip() if not text.startswith(" ") else seen[1:].rstrip()]


CHINESE = Example(
    text="{哈尔滨 工业 大学} 的 (研究 团队) 提高 了 (机器 翻译) 的 质量 。 他们 感谢 {北京} 和 {黑龙江 省} 的 支持 。",
    others="山 水 花 木 鱼 马 春 秋 书 车 门 高 红 左 三 万",
    similar="提高>提升 支持>帮助 质量>水平 感谢>答谢 团队>小组 研究>考察 大学>学院 他们>她们 北京>南京 的>之 和>与",
    documents={"哈尔滨工业大学": 9, "北京": 5000, "黑龙江省": 90},
    letters=False,
)
ENGLISH = Example(
    text="the (re+search team) of {Har+bin Institute of Tech+nology} im+proved (machine trans+lation) . they thank+ed "
    "{Bei+jing} and {Shen+zhen City} for sup+port+ing it .",
    others="river table blue sing old two sun ##ed ##er ##ly",
    similar="re+search>sci+ence team>group thank+ed>prais+ed the>this they>we and>or im+proved>pol+ished of>at "
    "machine>computer for>by sup+port+ing>spon+sor+ing trans+lation>tran+scription it>them",
    documents={"Har ##bin Institute of Tech ##nology": 5, "Bei ##jing": 3000, "Shen ##zhen City": 40},
    letters=True,
)

LENGTHS = (1, 1, 1, 1, 1, 1, 2, 2, 4, 8)
"""Units of the text on which the rules are compared: 22 tokens."""


def chances(budget: Budget, samples: int = 20_000) -> list[float]:
    """Share of the tokens that is hidden, then the chance of a unit of 1, 2, 4 and 8 tokens to be hidden completely.

    Counted over so many samples.
    """
    import numpy as np

    from masking.keyed import combine_array, hash_key
    from masking.selection import select_units
    from masking.spans import Units

    size, length_U = sum(LENGTHS), np.array(LENGTHS)
    first_U = np.cumsum(length_U) - length_U
    start_S = (np.arange(samples) * size).astype(np.int32)
    start, end = (
        (start_S[:, None] + edge[length_U > 1]).ravel().astype(np.int32) for edge in (first_U, first_U + length_U)
    )
    everywhere_T = np.ones(samples * size, np.bool_)
    units = Units(
        sample_start_S=start_S,
        sample_end_S=start_S + np.int32(size),
        maskable_T=everywhere_T,
        levels={"word": (start, end)},
    )
    spans = select_units(units, ["word"], budget, combine_array(np.arange(samples, dtype=np.uint64), hash_key("rules")))
    length_N = spans.end_N - spans.start_N
    whole_N = np.isin(spans.start_N % size, first_U) & (
        length_N == length_U[np.searchsorted(first_U, spans.start_N % size, "right") - 1]
    )
    return [spans.tokens / (samples * size)] + [
        int((length_N[whole_N] == n).sum()) / (samples * LENGTHS.count(n)) for n in sorted(set(LENGTHS))
    ]
