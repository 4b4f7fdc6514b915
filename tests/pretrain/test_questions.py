"""Cloze questions from files: what each format gives, what is refused, and scores equal to a plain loop."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from masked_models import CPU, Plain, make_model

from launch.settings.kinds import find_kind, kinds
from pretrain.evaluation.measures.questions import ClozeQuestions
from pretrain.evaluation.questions import Question, Questions
from pretrain.evaluation.questions.chid import Chid
from pretrain.evaluation.questions.pararel import Pararel
from pretrain.evaluation.questions.trex import Trex

CFT = "1 ||| 小 猫 在 New York 吃 鱼 。\n2 ||| 它 很 高兴 。\n3 ||| 小 XXXXX 吃 鱼 。 ||| 猫\n"
FEW = {"content": "你#idiom#吧", "candidates": ["雪中送炭", "画蛇添足"], "answer": 1, "id": 3}
PASSAGE = {
    "content": "要#idiom#，要#idiom#。",
    "realCount": 2,
    "groundTruth": ["通力合作", "有的放矢"],
    "candidates": [["高头大马", "通力合作"], ["有的放矢", "风流才子", "叫苦连天"]],
}
PASSAGES = {
    "content": ["他#idiom000378#。", "去#idiom000379#？#idiom000380#远"],
    "candidates": ["百尺竿头", "随波逐流", "身体力行"],
}
FACTS = [
    {
        "predicate_id": "P19",
        "sub_label": "Dante",
        "obj_label": "Florence",
        "evidences": [{"masked_sentence": "He left [MASK] ."}],
    },
    {"predicate_id": "P19", "sub_label": "Kant", "obj_label": "New York", "masked_sentence": "[MASK] , dear [MASK]"},
]
PATTERNS = [
    {"predicate_id": "P19", "pattern": text} for text in ("[X] left [Y].", "In an [Y] lived [X]", "From [Y]: [X]")
]


def lines(*values: Any) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


EXAMPLES: dict[str, tuple[dict[str, str], dict[str, Any], list[tuple[tuple[str, ...], int, int]]]] = {
    "cft": (
        {"a.txt": CFT},
        {"paths": ["a.txt"]},
        [(("小猫在New York吃鱼。它很高兴。小", "吃鱼。"), 10, 1)],
    ),
    "chid": (
        {
            "a.json": lines(FEW, PASSAGE, PASSAGES),
            "b.json": '{\n"#idiom000378#": 0,\n"#idiom000379#": 1}',
            "c.csv": "#idiom000380#,2\n",
        },
        {"paths": ["a.json"], "answers": ["b.json", "c.csv"]},
        [
            (("你", "吧"), 2, 1),
            (("要", "，要", "。"), 2, 1),
            (("要", "，要", "。"), 3, 0),
            (("他", "。"), 3, 0),
            (("去", "？", "远"), 3, 1),
            (("去", "？", "远"), 3, 2),
        ],
    ),
    "trex": (
        {"a.jsonl": lines(*FACTS)},
        {"paths": ["a.jsonl"]},
        [(("He left ", " ."), 2, 0), (("", " , dear ", ""), 2, 1)],
    ),
    "pararel": (
        {"P19.jsonl": lines(*({**fact, "predicate_id": "P19"} for fact in FACTS)), "p.jsonl": lines(*PATTERNS)},
        {"paths": ["P19.jsonl"], "patterns": ["p.jsonl"]},
        [
            (("Dante left ", "."), 2, 0),
            (("From ", ": Dante"), 2, 0),
            (("Kant left ", "."), 2, 1),
            (("From ", ": Kant"), 2, 1),
        ],
    ),
}
"""By kind: files, settings, and (texts, number of candidates, answer) of the questions they give."""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Write files into the folder that paths are looked up from."""
    monkeypatch.chdir(tmp_path)

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())

    return write


def make(kind: str, settings: dict[str, Any]) -> Questions:
    cls: Any = find_kind(Questions, kind)
    found: Questions = cls(**settings)
    return found


def shown(question: Question) -> tuple[tuple[str, ...], int, int]:
    return question.texts, len(question.candidates), question.answer


@pytest.mark.parametrize("kind", kinds(Questions))
def test_every_format_gives_the_questions_of_its_file(kind: str, written: Callable[[dict[str, str]], None]) -> None:
    if kind not in EXAMPLES:
        pytest.fail(f"pretrain/evaluation/questions/{kind}.py is new: add a file of it to EXAMPLES in {__file__}")
    files, settings, expected = EXAMPLES[kind]
    written(files)
    questions = make(kind, settings)
    assert questions.SOURCE
    assert set(map(str, questions.files())) == set(files)
    assert list(map(shown, questions.read())) == expected
    packed = {name: [f"{path}.gz" for path in paths] for name, paths in settings.items()}
    written({f"{name}.gz": text for name, text in files.items()})
    assert list(map(shown, make(kind, packed).read())) == expected


@pytest.mark.parametrize("kind", kinds(Questions))
def test_every_format_names_a_file_that_is_missing_or_empty_or_no_text(
    kind: str, written: Callable[[dict[str, str]], None]
) -> None:
    files, settings, _ = EXAMPLES[kind]
    with pytest.raises(ValueError, match=rf"{settings['paths'][0]}: no such file"):
        make(kind, settings).files()
    with pytest.raises(ValueError, match="paths: at least one file"):
        make(kind, {**settings, "paths": []}).files()
    written({**files, settings["paths"][0]: " \n\n"})
    with pytest.raises(ValueError, match=rf"{settings['paths'][0]}: there is nothing in it"):
        list(make(kind, settings).read())
    Path(settings["paths"][0]).write_bytes(b"\n\xff\xfe\n")
    with pytest.raises(ValueError, match=rf"{settings['paths'][0]}:2: not UTF-8"):
        list(make(kind, settings).read())


FACT = {"predicate_id": "P19", "sub_label": "Dante", "obj_label": "Florence", "masked_sentence": "[MASK]!"}
BAD: list[tuple[str, Any, str]] = [
    ("cft", "1 ||| a b\n2 ||| a XXXXX\n", r"a:2: a query \(XXXXX\) without"),
    ("cft", "1 ||| a b\n2 ||| a ||| b\n", r"a:2: the query must hold XXXXX once"),
    ("cft", "1 ||| XXXXX ||| b\n", r"a:1: a query without a document"),
    ("cft", "1 ||| a b\n2 ||| XXXXX ||| c\n", r"a:2: the answer 'c' is no word of its document; `absent: leave_out`"),
    ("cft", "1 ||| a b\n", r"a:1: the last document has no query"),
    ("cft", "one ||| a b\n", r"a:1: `NUMBER \|\|\| words`"),
    ("chid", "{}\n[]", r"a:1: lacks `content`"),
    ("chid", "{", r"a:1: not JSON"),
    ("chid", "[1]", r"a:1: a JSON object is needed, found list"),
    ("chid", {**FEW, "content": "no blank"}, r"a:1: no blank"),
    ("chid", {**FEW, "content": "#idiom##idiom#"}, r"a:1: several blanks"),
    ("chid", {**FEW, "answer": 2}, r"a:1: answer 2 of 2 candidates"),
    ("chid", {**FEW, "answer": "1"}, r"a:1: `answer` must be the number"),
    ("chid", {**FEW, "candidates": "ab"}, r"a:1: `candidates` must be a list of texts"),
    ("chid", {**FEW, "candidates": ["一", "一"]}, r"a:1: '一' is a candidate twice"),
    ("chid", {**FEW, "candidates": ["一"], "answer": 0}, r"a:1: 1 candidates; a question needs at least 2"),
    ("chid", {**PASSAGE, "groundTruth": ["一", "有的放矢"]}, r"a:1: the answer '一' is none of the 2 candidates"),
    ("chid", {**PASSAGE, "candidates": [["一"]]}, r"a:1: 2 blanks, 2 answers; `candidates` needs a list for each"),
    ("chid", PASSAGES, r"a:1: no answer to #idiom000378# \(files of answers: none"),
    ("trex", {"predicate_id": "P19", "sub_label": "Dante"}, r"a:1: lacks `obj_label`"),
    ("trex", {**FACT, "predicate_id": "P\0"}, r"a:1: `predicate_id` is .* cannot be printed"),
    ("chid", r'{"content": "\ud800#idiom#"}', r"a:1: not JSON .*surrogates"),
    ("trex", {**FACT, "obj_label": " "}, r"a:1: `obj_label` is \" \""),
    ("trex", {"sub_label": "Dante", "obj_label": "x"}, r"a:1: lacks `predicate_id`, and a is not named after a relation"),
    ("trex", FACT, r"a:1: all facts of P19 have one object"),
    ("trex", lines(FACT, {**FACT, "obj_label": "x", "masked_sentence": "none"}), r"a:2: no \[MASK\] in the masked"),
    ("trex", lines(FACT, {**FACTS[0], "obj_label": "x", "evidences": []}), r"a:2: lacks `masked_sentence`.*`templates`"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "message"), BAD)
def test_a_line_that_is_not_of_the_format_is_refused_with_its_place(
    kind: str, content: Any, message: str, written: Callable[[dict[str, str]], None]
) -> None:
    written({"a": content if isinstance(content, str) else lines(content)})
    with pytest.raises(ValueError, match=message):
        list(make(kind, {"paths": ["a"]}).read())


def test_answers_that_are_no_word_of_their_document_can_be_left_out(written: Callable[[dict[str, str]], None]) -> None:
    written({"a": "1 ||| a b\n2 ||| XXXXX ||| c\n" + CFT})
    assert len(list(make("cft", {"paths": ["a"], "absent": "leave_out"}).read())) == 1
    with pytest.raises(ValueError, match="absent: 'skip' is not one of refuse, leave_out"):
        make("cft", {"paths": ["a"], "absent": "skip"})


def test_templates_ask_each_fact_once(written: Callable[[dict[str, str]], None]) -> None:
    template = {"relation": "P19", "template": "[X] was born in [Y] .", "label": "place of birth"}
    written({"a": lines(*FACTS, FACTS[0]), "t": lines(template), "other": lines({**template, "relation": "P1"})})
    questions = list(Trex(paths=["a"], templates=["t"]).read())
    assert [question.texts for question in questions] == [("Dante was born in ", " ."), ("Kant was born in ", " .")]
    assert {question.group for question in questions} == {"P19"}
    with pytest.raises(ValueError, match=r"a:1: no template of P19 in other"):
        list(Trex(paths=["a"], templates=["other"]).read())
    written({"t": lines({**template, "template": "[X] was born"})})
    with pytest.raises(ValueError, match=r"t:1: .* must hold \[X\] once and \[Y\] once"):
        list(Trex(paths=["a"], templates=["t"]).read())


@pytest.fixture(scope="module")
def plain(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    return Plain(make_model(tmp_path_factory.mktemp("questions") / "model", prepared / "tokenizer", []))


def slow_answer(plain: Plain, question: Question, longest: int) -> int:
    """The candidate of the highest mean log probability, each in a reading of its own."""
    mask = plain.tokenizer.special_ids["[MASK]"]
    candidates = [plain.ids(text) for text in question.candidates]
    scores = []
    for candidate in candidates:
        sides = []
        for texts in (question.texts[: question.blank + 1], question.texts[question.blank + 1 :]):
            side = plain.ids(texts[0])
            for text in texts[1:]:
                side += [mask] * len(candidate) + plain.ids(text)
            sides.append(side)
        room = longest - 2 - max(map(len, candidates))
        before, after = sides
        while len(before) + len(after) > room:  # the longer side gives, of two as long that after the blank
            if len(before) > len(after):
                before = before[1:]
            else:
                after = after[:-1]
        ids = plain.framed([*before, *candidate, *after])
        places = range(1 + len(before), 1 + len(before) + len(candidate))
        found = plain.log_probabilities(ids, places)
        scores.append(float(np.mean([found[place, ids[place]] for place in places])))
    return int(np.argmax(scores))


def values(found: Any) -> dict[str, float]:
    return {name: outcome.value for name, outcome in found.outcomes.items()}


def test_answers_are_those_of_a_plain_loop(plain: Plain, written: Callable[[dict[str, str]], None]) -> None:
    words = ["北京", "大学", "上海的", "学", "history", "new york", "中国人民", "river bank"]
    passage = "他们在#idiom#工作，又去了#idiom#，后来到北京大学读书。" * 2
    rows = [
        {
            "content": passage if number % 2 else "我" * number + passage[:12],
            "groundTruth": [words[number % 8]] * (4 if number % 2 else 1),
            "candidates": [words[number % 4 :] + words[: number % 3]] * (4 if number % 2 else 1),
        }
        for number in range(4, 14)
    ]
    rows = [
        row
        for row in rows
        if row["groundTruth"][0] in row["candidates"][0] and len(set(row["candidates"][0])) == len(row["candidates"][0])
    ]
    written({"a": lines(*rows)})
    chid = Chid(paths=["a"])
    asked = list(chid.read())
    assert len(asked) > 15
    measure = ClozeQuestions(questions=chid, longest=24)
    expected = [slow_answer(plain, question, 24) for question in asked]
    found = measure.measure(plain.subject, "all", CPU, print)
    right = [question.answer == answer for question, answer in zip(asked, expected, strict=True)]
    assert found.outcomes["accuracy"].rows[:, 0].tolist() == right
    assert len(set(expected)) > 2, "answers that never differ would prove little"


def test_wordings_of_a_fact_are_compared(plain: Plain, written: Callable[[dict[str, str]], None]) -> None:
    objects = ["北京", "上海", "学", "new", "he"]
    facts = [
        {"predicate_id": relation, "sub_label": subject, "obj_label": objects[(number + len(relation)) % 5]}
        for relation in ("P1", "P22")
        for number, subject in enumerate(("中国", "the river", "大学生", "人", "history", "一"))
    ]
    patterns = [
        {"predicate_id": relation, "pattern": pattern}
        for relation in ("P1", "P22")
        for pattern in ("[X] 在 [Y] 。", "[Y] 有 [X]", "the [X] of [Y]", "[X] was in [Y] .")
    ]
    written({"f": lines(*facts), "p": lines(*patterns)})
    pararel = Pararel(paths=["f"], patterns=["p"])
    asked = list(pararel.read())
    answers = [slow_answer(plain, question, 64) for question in asked]
    right = [question.answer == answer for question, answer in zip(asked, answers, strict=True)]
    by_fact: dict[str, list[int]] = {}
    for number, question in enumerate(asked):
        by_fact.setdefault(question.fact, []).append(number)
    pairs = [answers[a] == answers[b] for numbers in by_fact.values() for a, b in combinations(numbers, 2)]
    groups = {
        group: [hit for hit, question in zip(right, asked, strict=True) if question.group == group]
        for group in ("P1", "P22")
    }
    found = ClozeQuestions(questions=pararel, longest=64).measure(plain.subject, "all", CPU, print)
    means = {group: sum(hits) / len(hits) for group, hits in groups.items()}
    assert values(found) == pytest.approx(
        {
            "accuracy": sum(right) / len(right),
            "macro_accuracy": sum(means.values()) / 2,
            "consistency": sum(pairs) / len(pairs),
            "consistent_accuracy": sum(all(right[n] for n in numbers) for numbers in by_fact.values()) / len(by_fact),
            "accuracy/P1": means["P1"],
            "accuracy/P22": means["P22"],
        }
    )
    assert 0 < sum(pairs) < len(pairs)
    assert found.facts["most frequent answer of each group"] == pytest.approx(2 * 2 * 4 / 48)
    fewer = ClozeQuestions(questions=pararel, limit=5, longest=64).measure(plain.subject, "all", CPU, print)
    assert len(fewer.outcomes["consistency"].rows) == 5
    assert len(fewer.outcomes["accuracy"].rows) == 20


def test_a_candidate_that_the_vocabulary_lacks_is_never_chosen(
    plain: Plain, written: Callable[[dict[str, str]], None]
) -> None:
    unknown = "\U0002a6a5"
    rows: Sequence[Any] = [
        {"content": "我#idiom#", "candidates": [unknown, "学"], "answer": 1},
        {"content": "我#idiom#", "candidates": [unknown, "学"], "answer": 0},
        {"content": "我#idiom#", "candidates": [unknown, unknown * 2], "answer": 0},
    ]
    written({"a": lines(*rows)})
    found = ClozeQuestions(questions=Chid(paths=["a"]), longest=64).measure(plain.subject, "all", CPU, print)
    assert found.outcomes["accuracy"].rows[:, 0].tolist() == [1, 0, 0]
    assert found.facts["answers that the vocabulary lacks"] == 2


def test_a_candidate_longer_than_a_sample_is_refused_with_its_place(
    plain: Plain, written: Callable[[dict[str, str]], None]
) -> None:
    written({"a": lines({"content": "我#idiom#", "candidates": ["学" * 9, "学"], "answer": 1})})
    with pytest.raises(ValueError, match=r"a:1: a candidate of 9 tokens; `longest` is 8"):
        ClozeQuestions(questions=Chid(paths=["a"]), longest=8).measure(plain.subject, "all", CPU, print)
