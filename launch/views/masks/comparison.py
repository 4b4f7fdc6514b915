"""`kmask show masks`: one sample under several schemes, one below the other, and what each scheme does to many samples.

    prepared folder or pretraining YAML  ->  windows  ->  window n as [CLS] window [SEP]
    every scheme (schemes.py)            ->  drawn in the same layout; of a YAML the run's own first, as `this run`
    windows spread over all the data     ->  an Audit of every scheme

The comparison is made here; terminal.py and page.py render it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launch.settings.components import read_config
from launch.settings.yaml_files import ConfigError
from launch.views.masks.scheme_specials import specials_for
from launch.views.masks.schemes import Scheme, fit, scheme_names, split_overrides
from launch.views.masks.windows import Windows, sample_of

if TYPE_CHECKING:
    from data_prep.shards import Prepared
    from masking.audit import Audit
    from masking.display import Piece
    from pretrain.feed.hiding import Specials
    from pretrain.feed.packed import Packed
    from pretrain.feed.samples import Sample

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


def compare(request: Request) -> Comparison:
    """Draw and audit.

    Raises:
        ValueError: no prepared folder, an unknown scheme or field, or no such window.
    """
    from pretrain.feed.packed import hide, lay_out

    check(request)
    material = gather(request)
    if not material.schemes:
        reasons = "; ".join(f"{name} {reason}" for name, reason in material.missing.items())
        raise ConfigError(f"no scheme can be drawn: {reasons}")
    windows = windows_of(material)
    if not 0 <= request.number < len(windows):
        known = f"{request.target} has {len(windows):,} windows of up to {material.tokens} tokens, numbered from 0"
        raise ConfigError(f"--number {request.number}: {known}")
    text = windows.read(request.number)
    one = sample_of(text, material.specials[0])
    single = lay_out([[one]], len(one.token_ids_T), material.specials[0].pad)
    many = lay_out(audited_rows(windows, material, request.windows), material.row, material.specials[0].pad)
    vocabulary = material.folders[0].tokenizer.tokens
    shown = []
    for scheme, specials in zip(material.schemes, material.specials, strict=True):
        drawn, counted = (hide(laid, scheme.masking, specials, request.progress) for laid in (single, many))
        shown.append(Shown(scheme, pieces_of(drawn, vocabulary), audit_of(drawn), audit_of(counted)))
    place = f"{text.document_id} from token {text.start:,}, {len(text.token_ids_T)} tokens of text"
    where = f"window {request.number:,} of {len(windows):,}: {place}"
    return Comparison(str(request.target), where, shown, material.missing)


def check(request: Request) -> None:
    """Refuse numbers that mean nothing.

    Raises:
        ConfigError: which option it is.
    """
    for name, value, least in (("tokens", request.tokens, 2), ("windows", request.windows, 1)):
        if value < least:
            raise ConfigError(f"--{name} {value}: must be at least {least}")
    if not 0 <= request.progress <= 1:
        raise ConfigError(f"--progress {request.progress}: must lie in [0, 1]")


def windows_of(material: Material) -> Windows:
    """The windows of the folders, with the parts of levels that the schemes name."""
    from masking.spans import parts

    named = dict.fromkeys(level for scheme in material.schemes for level in scheme.masking.strategy.levels())
    return Windows(folders=material.folders, tokens=material.tokens, parts=parts(named))


def audited_rows(windows: Windows, material: Material, count: int) -> list[list[Sample]]:
    """Samples of so many windows, spread over all the data, as rows."""
    import numpy as np

    from pretrain.feed.sampling import best_fit

    spread = sorted({number * len(windows) // count for number in range(count)})
    samples = [sample_of(windows.read(number), material.specials[0]) for number in spread]
    lengths = np.array([len(sample.token_ids_T) for sample in samples])
    order, offsets = best_fit(lengths, material.row)
    return [
        [samples[index] for index in order[first:last].tolist()] for first, last in itertools.pairwise(offsets.tolist())
    ]


def gather(request: Request) -> Material:
    """Open the folders of the target and set up the schemes: first the run's own, then the published ones."""
    from data_prep.shards import Prepared

    ours, others = split_overrides(request.overrides)
    if request.target.suffix not in (".yaml", ".yml"):
        if others:
            known = ", ".join(scheme_names())
            raise ConfigError(
                f"override {others[0]!r}: it must begin with a scheme, as in ngram.max_words=2. Known schemes: {known}"
            )
        folders = [Prepared.open(request.target)]
        fitted = fit(folders[0].levels, ours, request.wanted)
        specials = specials_for(folders, fitted.schemes)
        return Material(folders, fitted.schemes, specials, fitted.missing, request.tokens, ROW)
    from pretrain.config import Run
    from pretrain.corpus import Corpus

    corpus = Corpus(run=read_config(Run, request.target, others))
    folders = list(corpus.prepared.values())
    shared = [level for level in folders[0].levels if all(level in folder.levels for folder in folders)]
    fitted = fit(shared, ours, request.wanted)
    schemes = [Scheme(OWN, corpus.run.masking), *fitted.schemes]
    specials = [corpus.specials, *specials_for(folders, fitted.schemes)]
    batch = corpus.run.batch
    tokens = min(request.tokens, batch.max_sample_tokens - corpus.run.tasks["knowledge_masking"].special_tokens())
    return Material(folders, schemes, specials, fitted.missing, tokens, batch.row)


def pieces_of(packed: Packed, vocabulary: Sequence[str]) -> list[Piece]:
    """All tokens of a batch of one sample, with its units by full precedence."""
    from masking.display import pieces
    from masking.spans import precedence

    tokens, seen = ([vocabulary[index] for index in ids_T] for ids_T in (packed.original_T, packed.corrupted_T))
    actions = dict(zip(packed.hidden.position_M.tolist(), packed.hidden.action_M.tolist(), strict=True))
    return pieces(
        tokens, seen, *packed.units.partition(precedence(packed.units.levels)), packed.spans, actions, 0, len(tokens)
    )


def audit_of(packed: Packed) -> Audit:
    """The audit of a batch."""
    from masking.audit import audit

    return audit(packed.units, packed.spans, packed.hidden, given_up=packed.given_up)
