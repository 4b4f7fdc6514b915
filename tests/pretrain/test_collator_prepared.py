"""The collator over a prepared folder: rows of shards opened by `datasets`, every strategy, kmask's own masks,
transformers' Trainer."""

from __future__ import annotations

import importlib.util
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import commands
import datasets
import numpy as np
import pytest
import torch
from collating import tokenizer as toy_tokenizer
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from data_prep.shards import Prepared
from launch.settings.components import find_kind, kinds
from masking.budget import Budget
from masking.corruption import Corruption
from masking.strategies import Strategy
from masking.strategies.geometric_span import GeometricSpan
from masking.strategies.mixture import Phase
from masking.strategies.whole_unit import WholeUnit
from pretrain.collating.collator import KnowledgeMaskingCollator
from pretrain.collating.features import Turn, every_window
from pretrain.feed.hiding import Masking
from pretrain.feed.packed import pack
from pretrain.feed.sources import Source
from pretrain.objectives import plain_sample
from pretrain.special_ids import specials

LONGEST = 64
NEEDS_ACCELERATE = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None,
    reason="transformers' Trainer needs `accelerate`, which is not installed",
)
AGREED = {"budget": Budget(), "corruption": Corruption()}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "mixture": {"strategies": [WholeUnit(), GeometricSpan()], "schedule": [Phase(until=1.0, weights=[1, 1])]},
}
"""Constructor arguments of the strategies that have no defaults."""
SETTINGS: dict[str, dict[str, Any]] = {"mixture": AGREED}
"""What the collator must be told beside the strategy."""


@pytest.fixture(scope="module")
def tokenizer(prepared: Path) -> Any:
    return AutoTokenizer.from_pretrained(prepared / "tokenizer")


@pytest.fixture(scope="module")
def rows(prepared: Path) -> datasets.Dataset:
    """All training shards as `datasets` opens them."""
    files = sorted(prepared.glob("parts/*/train.arrow"))
    return datasets.concatenate_datasets([datasets.Dataset.from_file(str(file)) for file in files])


@pytest.fixture
def similar_words(prepared: Path, tmp_path: Path) -> Path:
    """A table of pairs of single characters."""
    characters = [
        token for token in Prepared.open(prepared).tokenizer.tokens if len(token) == 1 and "\u4e00" <= token <= "\u9fff"
    ]
    file = tmp_path / "similar.tsv"
    file.write_text("".join(f"{one}\t{other}\n" for one, other in itertools.pairwise(characters)), encoding="utf-8")
    return file


def made(tokenizer: Any, epoch: int = 0, **settings: Any) -> KnowledgeMaskingCollator:
    collator = KnowledgeMaskingCollator(tokenizer=tokenizer, max_length=LONGEST, **settings)
    collator.set_epoch(epoch)
    return collator


@pytest.mark.parametrize("kind", kinds(Strategy))
def test_every_strategy_masks_rows_as_kmask_itself_does_under_the_same_key(
    kind: str, prepared: Path, tokenizer: Any, rows: datasets.Dataset, similar_words: Path
) -> None:
    arguments = {"similar_words": str(similar_words)} if kind == "macbert" else ARGUMENTS.get(kind, {})
    strategy: Strategy = find_kind(Strategy, kind)(**arguments)  # type: ignore[misc]
    settings = SETTINGS.get(kind, {})
    opened = Prepared.open(prepared)
    known = specials([opened], masking := Masking(strategy=strategy, **settings))
    source = Source(name="any", prepared=opened, split="train", max_tokens=LONGEST - 2)
    texts = {(text.document_id, text.start): text for windows in source.all_windows() for text in source.texts(windows)}
    collator = made(tokenizer, 5, prepared=prepared, strategy=strategy, seed=2, span_boundary=True, **settings)
    given = [rows[number] for number in range(0, len(rows), 7)]
    packed, batch = collator.packed(given), collator(given)
    for row, sample in enumerate(packed.samples):
        text = texts[sample.document_id, sample.first_token]
        expected = plain_sample(text, Turn(2, 5).key(sample.document_id, sample.first_token), "any", known)
        alone = pack([[expected]], LONGEST, masking, known, 0.0)
        length = len(expected.token_ids_T)
        assert np.array_equal(batch["input_ids"][row, :length], alone.corrupted_T[:length])
        labels_T = np.full(LONGEST, -100)
        labels_T[alone.hidden.position_M] = alone.hidden.label_M
        assert np.array_equal(batch["labels"][row, :length], labels_T[:length])
        assert batch["attention_mask"][row].sum() == length
    assert (batch["labels"] != -100).any() and "span_boundary_left" in batch


def test_as_many_epochs_as_windows_show_each_window_once(tokenizer: Any, rows: datasets.Dataset) -> None:
    row = max((rows[number] for number in range(len(rows))), key=lambda item: len(item["token_ids"]))
    windows = every_window({name: [value] for name, value in row.items()}, max_length=LONGEST)
    count = len(windows["id"])
    assert count > 2 and np.concatenate(windows["token_ids"]).tolist() == row["token_ids"]
    seen = [made(tokenizer, epoch).packed([row]).samples[0].first_token for epoch in range(count)]
    assert sorted(seen) == windows["first_token"]
    inner = set(windows["first_token"][1:])
    long = {
        int(end)
        for begin, end in zip([0, *row["sentence_ends"]], row["sentence_ends"], strict=False)
        if end - begin > LONGEST - 2
    }
    assert inner <= set(row["sentence_ends"]) or long


def test_rows_of_every_window_are_masked_as_the_windows_of_whole_documents(
    tokenizer: Any, rows: datasets.Dataset
) -> None:
    few = rows.select(range(10))
    windows = few.map(
        partial(every_window, max_length=LONGEST), batched=True, remove_columns=few.column_names, keep_in_memory=True
    )
    assert (
        sum(map(len, windows["token_ids"])) == sum(map(len, few["token_ids"]))
        and max(map(len, windows["token_ids"])) <= LONGEST - 2
    )
    packed = made(tokenizer).packed([windows[number] for number in range(len(windows))])
    found = {(sample.document_id, sample.first_token): sample for sample in packed.samples}
    for sample in made(tokenizer).packed([few[number] for number in range(10)]).samples:
        same = found[sample.document_id, sample.first_token]
        assert same.key == sample.key and np.array_equal(same.token_ids_T, sample.token_ids_T)
        assert all(
            np.array_equal(one, other)
            for level in sample.units
            for one, other in zip(sample.units[level], same.units[level], strict=True)
        )
        assert np.array_equal(same.sentence_ends_S, sample.sentence_ends_S)


@pytest.mark.parametrize("form", ["numpy", "torch"])
def test_formatted_datasets_give_the_same_batches(form: str, tokenizer: Any, rows: datasets.Dataset) -> None:
    plain = made(tokenizer)([rows[number] for number in range(6)])
    formatted = rows.with_format(form)
    found = made(tokenizer)([formatted[number] for number in range(6)])
    assert all(torch.equal(found[name], plain[name]) for name in plain)


def test_data_workers_read_shards_and_make_the_same_batches(tokenizer: Any, rows: datasets.Dataset) -> None:
    collator = made(tokenizer, 1)
    alone, two = (list(DataLoader(rows, batch_size=16, collate_fn=collator, num_workers=workers)) for workers in (0, 2))
    assert len(alone) == len(two) and all(
        torch.equal(one[name], other[name]) for one, other in zip(alone, two, strict=True) for name in one
    )


def test_another_tokenizer_than_that_of_the_folder_is_refused(prepared: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"tokenizer: its vocabulary is not that of .*; load the one the shards were made with, .*tokenizer",
    ):
        KnowledgeMaskingCollator(tokenizer=toy_tokenizer(), prepared=prepared)


def test_rows_of_a_shard_need_cls_and_sep(rows: datasets.Dataset) -> None:
    collator = KnowledgeMaskingCollator(tokenizer=toy_tokenizer(cls_token=None))
    with pytest.raises(ValueError, match=r"is a row of a shard, but the tokenizer has no \[CLS\] and \[SEP\]"):
        collator([rows[0]])


def small_bert(tokenizer: Any) -> BertForMaskedLM:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": LONGEST,
    }
    return BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes))


def test_a_loop_of_plain_torch_learns(tokenizer: Any, rows: datasets.Dataset) -> None:
    """One batch under the masks of one epoch, eight times: its loss falls."""
    model = small_bert(tokenizer).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batch = next(iter(DataLoader(rows, batch_size=16, collate_fn=made(tokenizer))))
    losses = []
    for _ in range(8):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert np.isfinite(losses).all() and losses[-1] < losses[0] - 0.5


def seen_by_trainer(tokenizer: Any, rows: datasets.Dataset, output: Path, workers: int) -> list[torch.Tensor]:
    """The labels of every step of two epochs."""
    from transformers import Trainer, TrainingArguments

    seen: list[torch.Tensor] = []

    class Listening(Trainer):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: Any, **kwargs: Any) -> Any:
            seen.append(inputs["labels"].cpu().clone())
            return super().compute_loss(model, inputs, **kwargs)

    collator = KnowledgeMaskingCollator(tokenizer=tokenizer, max_length=LONGEST)
    arguments = TrainingArguments(
        output_dir=str(output),
        num_train_epochs=2,
        per_device_train_batch_size=8,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        remove_unused_columns=False,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
    )
    trainer = Listening(
        model=small_bert(tokenizer),
        args=arguments,
        train_dataset=rows,
        data_collator=collator,
        callbacks=[collator.callback()],
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == len(seen) and np.isfinite(losses).all()
    assert collator._clock.tolist() == [1.0, 0.5]
    return seen


@NEEDS_ACCELERATE
def test_the_trainer_of_transformers_trains_with_finite_losses_and_equal_masks_for_any_workers(
    tokenizer: Any, rows: datasets.Dataset, tmp_path: Path
) -> None:
    few = rows.select(range(16))
    alone, two = (seen_by_trainer(tokenizer, few, tmp_path / str(workers), workers) for workers in (0, 2))
    assert len(alone) == len(two) == 4 and all(torch.equal(one, other) for one, other in zip(alone, two, strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(alone[:2], alone[2:], strict=True))


@NEEDS_ACCELERATE
def test_the_example_trains_on_a_prepared_folder(prepared: Path, tmp_path: Path) -> None:
    example = "import runpy; runpy.run_path('examples/train_with_trainer.py', run_name='__main__')"
    run = commands.script(example, prepared, tmp_path / "model", 3)
    assert run.returncode == 0 and "after 3 steps" in run.stdout, run.stderr
    assert BertForMaskedLM.from_pretrained(tmp_path / "model").config.vocab_size == len(
        AutoTokenizer.from_pretrained(tmp_path / "model")
    )
