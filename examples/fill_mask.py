"""Fill in hidden entities of held-out documents with an exported folder: plain transformers and datasets, nothing of
kmask.

python examples/fill_mask.py runs/demo/model runs/demo/data
"""

from __future__ import annotations

import sys
from pathlib import Path

import datasets
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
from transformers.utils import logging

SHOWN = 8


def main(model_folder: Path, data_folder: Path) -> None:
    """Hide one entity in each of a few held-out sentences and print what the model puts there."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForMaskedLM.from_pretrained(model_folder).eval()
    rows = [
        row
        for file in sorted(data_folder.glob("parts/*/heldout.arrow"))
        for row in datasets.Dataset.from_file(str(file))
    ]
    longest = min(100, model.config.max_position_embeddings - 2)
    shown = right = total = 0
    for row in rows:
        sentences = list(zip([0, *row["sentence_ends"]], row["sentence_ends"], strict=False))
        used = set()
        for unit in row["units_entity"]:
            start, end = unit["start"], unit["start"] + unit["length"]
            sentence = next((first, last) for first, last in sentences if first <= start < last)
            if sentence in used or sentence[1] - sentence[0] > longest:
                continue
            used.add(sentence)
            ids = [tokenizer.cls_token_id, *row["token_ids"][sentence[0] : sentence[1]], tokenizer.sep_token_id]
            hidden = range(start - sentence[0] + 1, end - sentence[0] + 1)
            truth = [ids[position] for position in hidden]
            for position in hidden:
                ids[position] = tokenizer.mask_token_id
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids])).logits[0]
            guesses = [logits[position].topk(5).indices.tolist() for position in hidden]
            total += len(truth)
            right += sum(answer in guess for answer, guess in zip(truth, guesses, strict=True))
            if shown < SHOWN and len(used) == 1:
                shown += 1
                text = (
                    tokenizer.decode(ids[1:-1]).replace(" ", "")
                    if row["language"] == "zh"
                    else tokenizer.decode(ids[1:-1])
                )
                print(f"{text}\n    truth: {tokenizer.decode(truth)}")
                print("    guess: " + " | ".join(" ".join(tokenizer.convert_ids_to_tokens(guess)) for guess in guesses))
    print(
        f"{right} of {total} hidden entity tokens of held-out documents are among the model's five best guesses "
        f"({right / max(total, 1):.0%})"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/fill_mask.py EXPORTED_FOLDER PREPARED_FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
