"""Packed rows: equal to padded samples, no leakage, masks that belong to the sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from launch.settings.components import read_config
from pretrain.config import Run
from pretrain.corpus import Corpus
from pretrain.feed.batch import to_batch
from pretrain.feed.packed import pack
from pretrain.feed.sampling import Cursor, MicroBatchSpec, Sampler
from pretrain.network.encoder import encode
from pretrain.setup import build_model


@pytest.fixture
def made(tiny_run: Path) -> tuple[Run, Corpus]:
    run = read_config(Run, tiny_run, ["model.dropout=0"])
    return run, Corpus(run=run)


def first_rows(run: Run, corpus: Corpus, stage: int = 1) -> MicroBatchSpec:
    maker = corpus.maker(run.stages[stage], "train", run.masking)
    rows, _ = Sampler(streams=maker.streams, rows_per_step=4).step({})
    return MicroBatchSpec(0, rows, 0.0)


def test_packed_hidden_states_equal_those_of_each_sample_alone(made: tuple[Run, Corpus]) -> None:
    run, corpus = made
    maker = corpus.maker(run.stages[1], "train", run.masking)
    packed = maker.packed(first_rows(run, corpus))
    batch = to_batch(packed, run.task_ids, {}, {}, 64)
    model = build_model(run, 1, corpus.tokenizer).eval()
    model.ernie.embeddings.task_type_embeddings.weight.data.normal_()  # type: ignore[union-attr, operator]
    hidden = encode(model.ernie, batch)
    model.ernie.set_attn_implementation("eager")  # type: ignore[operator]
    for sample, start in zip(packed.samples, packed.sample_start_S.tolist(), strict=True):
        ids = torch.from_numpy(packed.corrupted_T[start : start + len(sample.token_ids_T)])[None]
        alone = model.ernie(ids, task_type_ids=torch.full_like(ids, run.task_ids[sample.task])).last_hidden_state[0]
        assert torch.allclose(hidden[start : start + ids.shape[1]], alone, atol=2e-6)


def test_changing_one_sample_changes_no_other_by_a_single_bit(made: tuple[Run, Corpus]) -> None:
    run, corpus = made
    maker = corpus.maker(run.stages[1], "train", run.masking)
    packed = maker.packed(first_rows(run, corpus))
    model = build_model(run, 1, corpus.tokenizer).eval()
    before = encode(model.ernie, to_batch(packed, run.task_ids, {}, {}, 64))
    length = len(packed.samples[0].token_ids_T)
    packed.corrupted_T[1 : length - 1] = 7
    after = encode(model.ernie, to_batch(packed, run.task_ids, {}, {}, 64))
    assert not torch.equal(before[:length], after[:length])
    rest = np.concatenate(
        [
            np.arange(s, s + len(x.token_ids_T))
            for s, x in list(zip(packed.sample_start_S, packed.samples, strict=True))[1:]
        ]
    )
    assert torch.equal(before[rest], after[rest])


def test_the_mask_of_a_sample_does_not_depend_on_its_row_or_batch(made: tuple[Run, Corpus]) -> None:
    run, corpus = made
    maker = corpus.maker(run.stages[1], "train", run.masking)
    spec = first_rows(run, corpus)
    samples = list(maker.samples(spec.rows)[0])
    together = pack([samples[:4], samples[4:7]], 256, run.masking, corpus.specials, 0.0)
    for sample, start in zip(together.samples, together.sample_start_S.tolist(), strict=True):
        alone = pack([[sample]], 256, run.masking, corpus.specials, 0.0)
        length = len(sample.token_ids_T)
        assert np.array_equal(together.corrupted_T[start : start + length], alone.corrupted_T[:length])


def test_masks_are_new_in_every_epoch(made: tuple[Run, Corpus]) -> None:
    run, corpus = made
    maker = corpus.maker(run.stages[0], "train", run.masking)
    row = first_rows(run, corpus, 0).rows[0]
    first, second = (maker.packed(MicroBatchSpec(0, [replace(row, epoch=epoch)], 0.0)) for epoch in (0, 1))
    assert np.array_equal(first.original_T, second.original_T)
    assert not np.array_equal(first.corrupted_T, second.corrupted_T)


def test_no_target_is_a_special_token_or_padding_and_every_label_is_the_original(made: tuple[Run, Corpus]) -> None:
    run, corpus = made
    special = [corpus.specials.pad, corpus.specials.cls, corpus.specials.sep, corpus.specials.mask]
    maker = corpus.maker(run.stages[1], "train", run.masking)
    sampler = Sampler(streams=maker.streams, rows_per_step=4)
    cursors: dict[str, Cursor] = {}
    for step in range(20):
        rows, cursors = sampler.step(cursors)
        packed = maker.packed(MicroBatchSpec(step, rows, 0.0))
        assert not np.isin(packed.hidden.label_M, special).any()
        assert np.array_equal(packed.original_T[packed.hidden.position_M], packed.hidden.label_M)
        random = packed.corrupted_T[packed.hidden.position_M[packed.hidden.action_M == 1]]
        assert not np.isin(random, special).any()


def test_a_row_that_is_too_full_is_refused(made: tuple[Run, Corpus]) -> None:
    run, corpus = made
    maker = corpus.maker(run.stages[0], "train", run.masking)
    samples = list(maker.samples(first_rows(run, corpus, 0).rows[:1])[0])
    with pytest.raises(ValueError, match="a row of 64 tokens was given"):
        pack([samples * 2], 64, run.masking, corpus.specials, 0.0)
