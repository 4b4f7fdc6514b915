"""Train a plain BERT with transformers' own Trainer; of kmask only the prepared folder and the masks. Under a minute on
two CPU cores.

python examples/train_with_trainer.py runs/demo/data runs/demo/trainer [STEPS]        (the Trainer needs `accelerate`)
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import datasets
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, Trainer, TrainingArguments, set_seed

from masking.strategies.whole_unit import WholeUnit
from pretrain.collating.collator import KnowledgeMaskingCollator
from pretrain.collating.features import every_window

LONGEST = 64


def main(data_folder: Path, output: Path, steps: int) -> None:
    """Train, print the loss, and save a folder that ``from_pretrained`` reads."""
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(data_folder / "tokenizer")
    shards = [datasets.Dataset.from_file(str(file)) for file in sorted(data_folder.glob("parts/*/train.arrow"))]
    documents = datasets.concatenate_datasets(shards)
    # Without this line each epoch sees one window of every document. In memory: `map` would write its cache into the
    # prepared folder.
    windows = documents.map(
        partial(every_window, max_length=LONGEST),
        batched=True,
        remove_columns=documents.column_names,
        keep_in_memory=True,
    )
    collator = KnowledgeMaskingCollator(
        tokenizer=tokenizer, strategy=WholeUnit(units=["entity", "phrase", "word"]), max_length=LONGEST, seed=1
    )
    sizes = {
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": LONGEST,
    }
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes))
    arguments = TrainingArguments(
        output_dir=str(output),
        max_steps=steps,
        per_device_train_batch_size=8,
        learning_rate=2e-3,
        logging_steps=max(steps // 10, 1),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,  # the model reads no `units_word`, but the collator does
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=windows, data_collator=collator, callbacks=[collator.callback()]
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    trainer.save_model(str(output))
    tokenizer.save_pretrained(output)
    print(
        f"{len(documents)} documents, {len(windows)} windows; loss {losses[0]:.2f} at first, {losses[-1]:.2f} after "
        f"{steps} steps; saved to {output}"
    )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python examples/train_with_trainer.py PREPARED_FOLDER OUTPUT_FOLDER [STEPS]")
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 100)
