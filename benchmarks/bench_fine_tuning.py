"""Fine-tuning in packed batches beside transformers' Trainer, which pads to the longest text of a batch.

    python benchmarks/bench_fine_tuning.py TRAIN.tsv[.gz] [TEXT_COLUMN LABEL_COLUMN]    (default: text_a label)

A BERT of 4 layers of 256 with random weights, a vocabulary of the file's characters, 16 texts a step of at most 256
tokens, dropout 0. Both see the same texts in the same order, with the same beginning, AdamW and rates: first 20 steps
whose losses must agree to 1e-5, then 40 steps by the processor time of one core, in turn, three rounds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForPreTraining, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.utils import logging

from pretrain.evaluation.heads.linear import Linear
from pretrain.evaluation.subjects import open_subject
from pretrain.evaluation.tasks import Sample
from pretrain.evaluation.tasks.classification import Classification
from pretrain.evaluation.tuning.training import Training
from pretrain.evaluation.tuning.trial import Trial

BATCH, LONGEST, EQUAL, TIMED, ROUNDS = 16, 256, 20, 40, 3
RATE = 1e-4


def folder_of(texts: list[str], folder: Path) -> None:
    """A BERT folder whose vocabulary is the characters of the texts."""
    counts = Counter("".join(texts).lower())
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *(c for c, _ in counts.most_common(6000) if not c.isspace()),
    ]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    BertWordPieceTokenizer(str(folder / "vocab.txt")).save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    BertForPreTraining(config).save_pretrained(folder)


class Ordered(Trainer):  # type: ignore[misc]
    """A Trainer that keeps the order of its examples, and its losses and processor time."""

    def _get_train_sampler(self, *_: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        """The loss, noted."""
        loss = super().compute_loss(model, inputs, *arguments, **named)
        self.losses.append(float((loss[0] if isinstance(loss, tuple) else loss).detach()))
        return loss


def padded(samples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of equal lengths."""
    ids = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(one["ids"]) for one in samples], batch_first=True)
    labels = torch.tensor([one["label"] for one in samples])
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": labels}


def by_transformers(folder: Path, samples: list[Sample], head: Any, classes: int) -> tuple[list[float], float]:
    """Losses, and seconds of processor time."""
    model = BertForSequenceClassification.from_pretrained(
        folder, num_labels=classes, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    model.classifier.load_state_dict(head)
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            output_dir=out,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            warmup_steps=0,
            weight_decay=0.01,
            adam_epsilon=1e-6,
            max_grad_norm=1.0,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            use_cpu=True,
            remove_unused_columns=False,
        )
        data = [{"ids": one.input.ids_T, "label": int(one.target_N[0])} for one in samples]
        trainer = Ordered(model=model, args=arguments, train_dataset=data, data_collator=padded)
        trainer.losses = []
        began = time.process_time()
        trainer.train()
        return trainer.losses, time.process_time() - began


def by_kmask(trial: Trial, samples: list[Sample]) -> tuple[list[float], float]:
    """Losses, and seconds of processor time."""
    steps, began = len(samples) // BATCH, time.process_time()
    losses = [
        trial.step(samples[step * BATCH : (step + 1) * BATCH], trial.training.share(step, steps), step)
        for step in range(steps)
    ]
    return losses, time.process_time() - began


def main() -> None:
    """Equal losses first, then speed."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    text, label = sys.argv[2:4] if len(sys.argv) > 2 else ("text_a", "label")
    problem = Classification(train=sys.argv[1], columns={"text": text, "label": label}).bind()
    training = Training(lr=RATE, warmup=0.0, dropout=0.0, batch=BATCH)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder_of([example.texts[0] for example in problem.splits.known], folder)
        subject = open_subject("bench", folder)
        samples = problem.samples(problem.splits.train[: TIMED * BATCH], subject.tokenizer, LONGEST)
        lengths = np.array([len(one.input.ids_T) for one in samples]).reshape(-1, BATCH)
        share = lengths.sum() / (lengths.max(1) * BATCH).sum()
        print(f"{lengths.mean():.0f} tokens a text; {share:.1%} of the positions are real when batches are padded")
        for count in (EQUAL, *[TIMED] * ROUNDS):
            trial = Trial(subject, Linear(), problem, training, 1, torch.device("cpu"))
            head = {name: value.clone() for name, value in trial.tuned.head.project.state_dict().items()}  # type: ignore[union-attr]
            ours, seconds = by_kmask(trial, samples[: count * BATCH])
            theirs, other = by_transformers(folder, samples[: count * BATCH], head, problem.outputs)
            gap = float(np.abs(np.array(ours) - np.array(theirs)).max())
            if count == EQUAL:
                print(f"{count} steps: losses {ours[0]:.5f} to {ours[-1]:.5f}, largest difference {gap:.1e}")
                continue
            print(
                f"{count * BATCH / seconds:.1f} texts/s packed, {count * BATCH / other:.1f} by the Trainer: "
                f"{other / seconds:.2f} x; largest difference of losses {gap:.1e}"
            )


if __name__ == "__main__":
    main()
