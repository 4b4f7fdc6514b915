"""The training windows of prepared folders, and the samples made of them: what every scheme masks."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_prep.shards import Prepared
    from pretrain.feed.hiding import Specials
    from pretrain.feed.samples import Sample
    from pretrain.feed.sources import Source
    from pretrain.feed.texts import Text


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The training windows of several folders, one folder after another."""

    folders: list[Prepared]
    tokens: int
    """Longest window."""
    parts: tuple[str, ...] = ()
    """Parts of levels that the schemes name."""

    @cached_property
    def sources(self) -> list[Source]:
        """One for each folder."""
        from pretrain.feed.sources import Source

        return [
            Source(name=str(folder.folder), prepared=folder, split="train", max_tokens=self.tokens, parts=self.parts)
            for folder in self.folders
        ]

    @cached_property
    def ends(self) -> list[int]:
        """One past the last window of each folder."""
        return list(accumulate(len(source) for source in self.sources))

    def __len__(self) -> int:
        return self.ends[-1]

    def read(self, number: int) -> Text:
        """The window with this number."""
        index = bisect_right(self.ends, number)
        return self.sources[index].read(number - (self.ends[index - 1] if index else 0))


def sample_of(text: Text, specials: Specials) -> Sample:
    """``[CLS] window [SEP]`` under a key of its place."""
    from masking.keyed import hash_key
    from pretrain.objectives import plain_sample

    return plain_sample(text, hash_key("show masks", text.document_id, text.start), "knowledge_masking", specials)
