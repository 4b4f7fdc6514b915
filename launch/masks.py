"""`kmask show masks`: one sample under several schemes, one below the other, and what each scheme does to many samples.

    prepared folder or pretraining YAML  ->  windows  ->  window n as [CLS] window [SEP]
    every scheme (schemes.py)            ->  drawn in the same layout; of a YAML the run's own masking first, as `this run`
    windows spread over all the data     ->  an Audit of every scheme

The comparison is made here; masks_terminal.py and masks_page.py render it.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launch.config import ConfigError, read_config
from launch.schemes import Scheme, divided, fit, scheme_names, specials_for

if TYPE_CHECKING:
    from data_prep.shards import Prepared
    from masking.audit import Audit
    from masking.display import Piece
    from pretrain.feed.hiding import Specials
    from pretrain.feed.packed import Packed
    from pretrain.feed.samples import Sample
    from pretrain.feed.sources import Source, Text

ROW = 4096
"""Tokens of a row of audited samples, where no run says otherwise."""
OWN = "this run"


class Request(NamedTuple):
    """What is to be shown."""

    target: Path
    overrides: Sequence[str] = ()
    number: int = 0
    """Of the window that is drawn."""
    wanted: Sequence[str] = ()
    """Names of schemes; none: all."""
    tokens: int = 126
    """Longest window."""
    windows: int = 2000
    """How many are audited."""
    progress: float = 0.0
    """How far training is, 0 to 1, for schemes in stages."""


class Material(NamedTuple):
    """Folders, and the schemes that they allow with what each needs to know of them."""

    folders: list[Prepared]
    schemes: list[Scheme]
    specials: list[Specials]
    missing: dict[str, str]
    tokens: int
    row: int


class Shown(NamedTuple):
    """One scheme, applied."""

    scheme: Scheme
    pieces: list[Piece]
    """The drawn sample."""
    own: Audit
    """Of the drawn sample."""
    audit: Audit
    """Of many samples."""


class Comparison(NamedTuple):
    """The same samples under several schemes."""

    title: str
    where: str
    shown: list[Shown]
    missing: dict[str, str]
    """Schemes that the data do not allow, and why."""


def show_masks(request: Request, html: Path | None) -> None:
    """Print the comparison, and write it as a page when asked."""
    from launch.masks_terminal import print_comparison

    comparison = compare(request)
    print_comparison(comparison)
    if html:
        from data_prep.files import write_atomic
        from launch.masks_page import page

        write_atomic(html, page(comparison))
        print(f"written to {html}")


def compare(request: Request) -> Comparison:
    """Draw and audit.

    Raises:
        ValueError: no prepared folder, an unknown scheme or field, or no such window.
    """
    import numpy as np

    from masking.spans import parts
    from pretrain.feed.packed import hide, lay_out
    from pretrain.feed.sampling import best_fit

    for name, value, least in (("tokens", request.tokens, 2), ("windows", request.windows, 1)):
        if value < least:
            raise ConfigError(f"--{name} {value}: must be at least {least}")
    if not 0 <= request.progress <= 1:
        raise ConfigError(f"--progress {request.progress}: must lie in [0, 1]")
    material = gather(request)
    if not material.schemes:
        raise ConfigError("no scheme can be drawn: " + "; ".join(f"{name} {reason}" for name, reason in material.missing.items()))
    named = dict.fromkeys(level for scheme in material.schemes for level in scheme.masking.strategy.levels())
    windows = Windows(folders=material.folders, tokens=material.tokens, parts=parts(named))
    if not 0 <= request.number < len(windows):
        raise ConfigError(f"--number {request.number}: {request.target} has {len(windows):,} windows of up to {material.tokens} tokens, numbered from 0")
    text = windows.read(request.number)
    spread = sorted({number * len(windows) // request.windows for number in range(request.windows)})
    many = [sample_of(windows.read(number), material.specials[0]) for number in spread]
    order, offsets = best_fit(np.array([len(sample.token_ids_T) for sample in many]), material.row)
    rows = [[many[index] for index in order[first:last].tolist()] for first, last in itertools.pairwise(offsets.tolist())]
    pad, one = material.specials[0].pad, sample_of(text, material.specials[0])
    drawn, laid = lay_out([[one]], len(one.token_ids_T), pad), lay_out(rows, material.row, pad)
    shown = []
    for scheme, specials in zip(material.schemes, material.specials, strict=True):
        single = hide(drawn, scheme.masking, specials, request.progress)
        tokens = material.folders[0].tokenizer.tokens
        shown.append(Shown(scheme, pieces_of(single, tokens), audited(single), audited(hide(laid, scheme.masking, specials, request.progress))))
    where = f"window {request.number:,} of {len(windows):,}: {text.document_id} from token {text.start:,}, {len(text.token_ids_T)} tokens of text"
    return Comparison(str(request.target), where, shown, material.missing)


def gather(request: Request) -> Material:
    """Open the folders of the target and set up the schemes: first the run's own, then the published ones."""
    from data_prep.shards import Prepared

    ours, others = divided(request.overrides)
    if request.target.suffix not in (".yaml", ".yml"):
        if others:
            raise ConfigError(f"override {others[0]!r}: it must begin with a scheme, as in ngram.max_words=2. Known schemes: {', '.join(scheme_names())}")
        folders = [Prepared.open(request.target)]
        fitted = fit(folders[0].levels, ours, request.wanted)
        return Material(folders, fitted.schemes, specials_for(folders, fitted.schemes), fitted.missing, request.tokens, ROW)
    from pretrain.config import Run
    from pretrain.corpus import Corpus

    corpus = Corpus(run=read_config(Run, request.target, others))
    folders = list(corpus.prepared.values())
    fitted = fit([level for level in folders[0].levels if all(level in folder.levels for folder in folders)], ours, request.wanted)
    schemes, specials = [Scheme(OWN, corpus.run.masking), *fitted.schemes], [corpus.specials, *specials_for(folders, fitted.schemes)]
    batch = corpus.run.batch
    return Material(
        folders,
        schemes,
        specials,
        fitted.missing,
        min(request.tokens, batch.max_sample_tokens - corpus.run.tasks["knowledge_masking"].special_tokens()),
        batch.row,
    )


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

        return [Source(name=str(folder.folder), prepared=folder, split="train", max_tokens=self.tokens, parts=self.parts) for folder in self.folders]

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


def pieces_of(packed: Packed, vocabulary: Sequence[str]) -> list[Piece]:
    """All tokens of a batch of one sample, with its units by full precedence."""
    from masking.display import pieces
    from masking.spans import precedence

    tokens, seen = ([vocabulary[index] for index in ids_T] for ids_T in (packed.original_T, packed.corrupted_T))
    actions = dict(zip(packed.hidden.position_M.tolist(), packed.hidden.action_M.tolist(), strict=True))
    return pieces(tokens, seen, *packed.units.partition(precedence(packed.units.levels)), packed.spans, actions, 0, len(tokens))


def audited(packed: Packed) -> Audit:
    """The audit of a batch."""
    from masking.audit import audit

    return audit(packed.units, packed.spans, packed.hidden, given_up=packed.given_up)
