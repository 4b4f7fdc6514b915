"""Questions about paragraphs, with answers that stand in them: SQuAD's JSON, which CMRC 2018 and DRCD use too.

data > paragraphs > context, qas > question, answers > text, answer_start
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain.evaluation.readers.json_objects import json_objects
from pretrain.evaluation.readers.splits import Example
from pretrain.evaluation.readers.tags import Span

ANSWER = "answer"


def questions(path: Path) -> Iterator[Example]:
    """Examples whose texts are context and question, and whose label is the list of the answers, spans of the context.

    An answer whose text does not stand where the file says is looked for around there, as some of CMRC's need.

    Raises:
        ValueError: the file is built otherwise, or an answer does not stand in its context; with the question.
    """
    for line, item in json_objects(path):
        try:
            for article in item["data"]:
                for paragraph in article["paragraphs"]:
                    for question in paragraph["qas"]:
                        yield _question(f"{path}:{line}", paragraph["context"], question)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path}:{line}: not built as SQuAD's files are, data > paragraphs > context and qas > question and "
                f"answers > text and answer_start ({type(error).__name__}: {error})"
            ) from None


def _question(place: str, context: str, question: dict[str, Any]) -> Example:
    named = f"{place}: question {question.get('id', question['question'])!r}"
    if question.get("is_impossible") or not question["answers"]:
        raise ValueError(f"{named} has no answer; questions without one (SQuAD 2.0) are not read")
    answers = []
    for answer in question["answers"]:
        text, start = answer["text"], answer["answer_start"]
        if not text or context[start : start + len(text)] != text:
            found = [at for at in range(len(context)) if text and context.startswith(text, at)]
            if not found:
                raise ValueError(f"{named}: the answer {text!r} does not stand in its context")
            start = min(found, key=lambda at: abs(at - start))
        answers.append(Span(ANSWER, start, start + len(text)))
    return Example(named, (context, question["question"]), answers)
