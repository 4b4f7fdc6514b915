"""What does the model know? Hidden entities of held-out sentences, with plain transformers and datasets, nothing of
kmask.

    shards of the prepared folder  --asked-->  questions: a sentence, one entity of it behind [MASK]s
    questions  --answers-->  the trained model's answer, that of the same model before training (random weights), and
        the most frequent entity of that type, language and number of tokens in the training documents
    --report-->  some of them, and how many entities each got wholly right

python examples/fill_mask.py EXPORTED_FOLDER PREPARED_FOLDER [TYPE ...]
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer
from transformers.utils import logging

SHOWN, BATCH = 12, 64
ENGLISH_SHARE = 2 / 3
"""Of the shown questions."""

Ids = tuple[int, ...]


class Question(NamedTuple):
    """A sentence and the entity to hide in it."""

    tokens: Ids
    """With [CLS] and [SEP]."""
    start: int
    """First hidden position."""
    truth: Ids
    type: str
    language: str

    @property
    def like(self) -> tuple[str, str, int]:
        """What the most frequent entity is taken from."""
        return self.type, self.language, len(self.truth)


def rows(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    """The documents of a split."""
    for file in sorted(folder.glob(f"parts/*/{split}.arrow")):
        yield from datasets.Dataset.from_file(str(file))


def asked(folder: Path, split: str, ends: tuple[int, int], types: Sequence[str], longest: int) -> Iterator[Question]:
    """A question for every entity of these types (of any type when none is given), each sentence and entity once."""
    labels = [label["type"] for label in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["labels"]]
    for row in rows(folder, split):
        sentences = list(zip([0, *row["sentence_ends"]], row["sentence_ends"], strict=False))
        for unit in row["units_entity"]:
            start, end = unit["start"], unit["start"] + unit["length"]
            first, last = next(sentence for sentence in sentences if sentence[0] <= start < sentence[1])
            kind = labels[unit["label"]]
            if (kind in types or not types) and last - first <= longest and end <= last:
                tokens = (ends[0], *row["token_ids"][first:last], ends[1])
                yield Question(tokens, start - first + 1, tuple(row["token_ids"][start:end]), kind, row["language"])


@torch.no_grad()
def answers(model: torch.nn.Module, questions: Sequence[Question], mask: int, pad: int) -> list[Ids]:
    """The likeliest token at every hidden position, all at once, as whole entities were hidden in training."""
    found: list[Ids] = []
    for begin in range(0, len(questions), BATCH):
        batch = questions[begin : begin + BATCH]
        ids = torch.full((len(batch), max(len(question.tokens) for question in batch)), pad)
        for line, question in zip(ids, batch, strict=True):
            line[: len(question.tokens)] = torch.tensor(question.tokens)
            line[question.start : question.start + len(question.truth)] = mask
        attention = (torch.arange(ids.shape[1]) < torch.tensor([[len(q.tokens)] for q in batch])).long()
        best = model(input_ids=ids, attention_mask=attention).logits.argmax(-1)
        for line, question in zip(best, batch, strict=True):
            found.append(tuple(line[question.start : question.start + len(question.truth)].tolist()))
    return found


def frequent(training: Sequence[Question], questions: Sequence[Question]) -> list[Ids]:
    """The most frequent entity like the one that is asked for; nothing where training has none."""
    counted: dict[tuple[str, str, int], Counter[Ids]] = {}
    for known in training:
        counted.setdefault(known.like, Counter())[known.truth] += 1
    best = {like: counter.most_common(1)[0][0] for like, counter in counted.items()}
    return [best.get(question.like, ()) for question in questions]


def spread(questions: Sequence[Question]) -> list[int]:
    """Numbers of the questions to show: every type in turn, more of them English."""
    chosen: list[int] = []
    for language, count in (("en", round(SHOWN * ENGLISH_SHARE)), ("zh", SHOWN - round(SHOWN * ENGLISH_SHARE))):
        by_type: dict[str, list[int]] = {}
        for number, question in enumerate(questions):
            if question.language == language:
                by_type.setdefault(question.type, []).append(number)
        turns = [
            numbers[turn * len(numbers) // SHOWN] for turn in range(SHOWN) for numbers in by_type.values() if numbers
        ]
        chosen += list(dict.fromkeys(turns))[:count]
    return chosen


def text_of(tokenizer: Any, ids: Sequence[int], language: str) -> str:
    """Tokens as text; Chinese without spaces."""
    text: str = tokenizer.decode(list(ids))
    return text.replace(" ", "") if language == "zh" else text


def report(tokenizer: Any, questions: Sequence[Question], guesses: dict[str, list[Ids]]) -> None:
    """Some questions with all answers, then the share of entities that were wholly right."""
    for number in spread(questions):
        question = questions[number]
        hidden = list(question.tokens)
        hidden[question.start : question.start + len(question.truth)] = [tokenizer.mask_token_id] * len(question.truth)
        print(f"\n{text_of(tokenizer, hidden[1:-1], question.language)}")
        print(f"    {'truth':<14}{text_of(tokenizer, question.truth, question.language)}")
        for name, answer in guesses.items():
            right = "right" if answer[number] == question.truth else ""
            print(f"    {name:<14}{text_of(tokenizer, answer[number], question.language) or '-':<24}{right}")
    print(f"\n{'wholly right':<22}{'asked':>7}" + "".join(f"{name:>15}" for name in guesses))
    kinds = dict.fromkeys((question.language, question.type) for question in sorted(questions, key=lambda q: q[3:]))
    for language, kind in [*sorted(kinds), ("", "")]:
        chosen = [
            number for number, q in enumerate(questions) if (q.language, q.type) == (language, kind) or not language
        ]
        shares = [sum(answer[n] == questions[n].truth for n in chosen) / len(chosen) for answer in guesses.values()]
        name = f"{language} {kind}" if language else "all"
        print(f"{name:<22}{len(chosen):>7}" + "".join(f"{share:>15.0%}" for share in shares))


def main(model_folder: Path, data_folder: Path, types: Sequence[str]) -> None:
    """Ask all questions of three answerers."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    config = AutoConfig.from_pretrained(model_folder)
    longest = min(100, config.max_position_embeddings - 2)
    ends = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    training = list(asked(data_folder, "train", ends, types, longest))
    questions = list(dict.fromkeys(asked(data_folder, "heldout", ends, types, longest)))
    if not questions:
        sys.exit(f"{data_folder} has no held-out sentence with an entity of type {' '.join(types) or '(any)'}")
    copied = {(known.tokens, known.start) for known in training}
    print(f"{len(questions)} questions; {sum((q.tokens, q.start) in copied for q in questions)} of these sentences are "
          "in the training documents")  # fmt: skip
    torch.manual_seed(0)
    models = {
        "trained": AutoModelForMaskedLM.from_pretrained(model_folder).eval(),
        "untrained": AutoModelForMaskedLM.from_config(config).eval(),
    }
    mask, pad = tokenizer.mask_token_id, tokenizer.pad_token_id
    guesses = {name: answers(model, questions, mask, pad) for name, model in models.items()}
    report(tokenizer, questions, {**guesses, "most frequent": frequent(training, questions)})


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python examples/fill_mask.py EXPORTED_FOLDER PREPARED_FOLDER [TYPE ...]")
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
