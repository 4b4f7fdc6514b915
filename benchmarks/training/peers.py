"""transformers' Trainer on the same text, model and precision: its own heads, collators and padding."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from pretrain.feed.batch import Batch

WARM = 5


class Rate(NamedTuple):
    """What a peer did."""

    tokens: float
    """Real tokens a second."""
    real_share: float


def texts_of(found: Sequence[Batch]) -> list[list[int]]:
    """The samples of batches, unhidden, without [CLS] and [SEP]."""
    texts = []
    for batch in found:
        ids = batch.input_ids[0].clone()
        target = batch.targets["knowledge_masking"]
        ids[target["position"]] = target["label"]
        for start, length in zip(batch.cls_positions_S.tolist(), batch.grids.length_S.tolist(), strict=True):
            texts.append(ids[start + 1 : start + length - 1].tolist())
    return texts


def concatenated(texts: Sequence[list[int]], tokens: int) -> list[list[int]]:
    """One stream of text in pieces, as run_mlm.py makes them."""
    stream = [token for text in texts for token in text]
    size = tokens - 2
    return [stream[first : first + size] for first in range(0, len(stream) - size, size)]


def line_by_line(texts: Sequence[list[int]], ends: set[int], tokens: int) -> list[list[int]]:
    """A sentence a line, cut to the longest sample."""
    lines, line = [], []
    for token in (token for text in texts for token in text):
        line.append(token)
        if token in ends:
            lines.append(line[: tokens - 2])
            line = []
    return [line for line in lines if len(line) > 1]


class Clock(TrainerCallback):
    """Times of the ends of steps."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Note the time, when the device has done it."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def rate(
    lines: Sequence[list[int]],
    tokenizer: Any,
    shape: dict[str, int],
    tokens: int,
    steps: int,
    words: bool,
    positions: int = 2048,
) -> Rate:
    """Real tokens a second of Trainer; on a GPU in bf16.

    Args:
        words: with its whole-word collator, whose padded batches need the fast tokenizer's offsets.
    """
    config = BertConfig(vocab_size=len(tokenizer), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **shape)
    collator = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm_probability=0.15)
    if words:
        collator = DataCollatorForLanguageModeling(
            tokenizer=tokenizer, mlm_probability=0.15, whole_word_mask=True, mask_replace_prob=1, random_replace_prob=0
        )
    features = [feature(line, tokenizer, words) for line in lines]
    seen: list[tuple[int, int]] = []

    def collate(items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        made = collator([dict(item) for item in items])
        mask = made.get("attention_mask")
        real = int(mask.sum()) if mask is not None else made["input_ids"].numel()
        seen.append((real, made["input_ids"].numel()))
        return {name: made[name] for name in ("input_ids", "attention_mask", "labels") if name in made}

    clock, gpu = Clock(), torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=steps, per_device_train_batch_size=positions // tokens, learning_rate=1e-4,
            report_to=[], save_strategy="no", logging_strategy="no", use_cpu=not gpu, bf16=gpu, remove_unused_columns=False,
            disable_tqdm=True, dataloader_num_workers=0, seed=1,
        )  # fmt: skip
        Trainer(
            model=BertForMaskedLM(config), args=arguments, train_dataset=features, data_collator=collate,  # type: ignore[arg-type]
            callbacks=[clock],
        ).train()  # fmt: skip
    used = seen[WARM : len(clock.ends)]
    spent = clock.ends[-1] - clock.ends[WARM - 1]
    return Rate(sum(real for real, _ in used) / spent, sum(real for real, _ in used) / sum(all_ for _, all_ in used))


def feature(line: list[int], tokenizer: Any, words: bool) -> dict[str, Any]:
    """A line with [CLS] and [SEP]; with offsets that join the pieces of a word where the collator asks for words."""
    ids = [tokenizer.cls_token_id, *line, tokenizer.sep_token_id]
    found: dict[str, Any] = {"input_ids": ids, "attention_mask": [1] * len(ids)}
    if words:
        joined = [token.startswith("##") for token in tokenizer.convert_ids_to_tokens(ids)]
        found["special_tokens_mask"] = [1, *[0] * len(line), 1]
        found["offset_mapping"] = [(3 * place - glued, 3 * place + 2) for place, glued in enumerate(joined)]
    return found
