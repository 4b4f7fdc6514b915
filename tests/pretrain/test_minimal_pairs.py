"""Minimal pairs scored like a plain loop; and all measures of hidden tokens together in a suite."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from masked_models import CPU, Plain, make_model

from launch.outcomes.suites import run_suite
from pretrain.evaluation.blanks import framed
from pretrain.evaluation.measures.minimal_pairs import MinimalPairs, sentence_scores

WORDS = ("北京 大学 很 好", "the rivers of china", "unbelievable histories", "他 在 北京 工作", "emperors were crowned")


@pytest.fixture(scope="module")
def plain(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    return Plain(make_model(tmp_path_factory.mktemp("pairs") / "model", prepared / "tokenizer", []))


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write rows into a file, in the folder that paths are looked up from."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, rows: list[Any]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)

    return write


def pairs() -> list[dict[str, str]]:
    """Sentences beside the same with two words in another order."""
    found = []
    for number, text in enumerate(WORDS):
        for length in range(2, len(text.split()) + 1):
            words = text.split()[:length]
            turned = " ".join([*words[:-2], words[-1], words[-2]])
            found.append(
                {"sentence_good": " ".join(words), "sentence_bad": turned, "field": f"f{number % 2}", "UID": "x"}
            )
    return found


def slow_score(plain: Plain, text: str, hide: str) -> float:
    ids = plain.framed(plain.ids(text))
    words: list[list[int]] = []
    for place in range(1, len(ids) - 1):
        if words and plain.tokenizer.tokens[ids[place]].startswith("##") and hide == "word":
            words[-1].append(place)
        else:
            words.append([place])
    return sum(
        float(plain.log_probabilities(ids, word[number:])[place, ids[place]])
        for word in words
        for number, place in enumerate(word)
    )


@pytest.mark.parametrize("hide", ["token", "word"])
def test_pairs_are_judged_as_by_a_plain_loop(hide: str, plain: Plain, written: Callable[..., None]) -> None:
    rows = pairs()
    written("a.jsonl", rows[:4])
    written("b.jsonl.gz", rows[4:])
    measure = MinimalPairs(paths=["a.jsonl", "b.jsonl.gz"], groups=["field", "UID"], hide=hide, longest=40)
    measure.check(plain.subject)
    scores = [[slow_score(plain, row[side], hide) for side in ("sentence_good", "sentence_bad")] for row in rows]
    encoded = [framed(plain.tokenizer, np.array(plain.ids(row["sentence_good"]))) for row in rows]
    ours = sentence_scores(plain.subject, encoded, hide, CPU)
    assert ours.tolist() == pytest.approx([good for good, _ in scores], rel=1e-5)
    found = measure.measure(plain.subject, "all", CPU, print).outcomes
    right = [good > bad for good, bad in scores]
    assert found["accuracy"].rows[:, 0].tolist() == right
    assert 0 < sum(right) < len(right)
    assert set(found) == {"accuracy", "accuracy/field/f0", "accuracy/field/f1", "accuracy/UID/x"}
    mine = [hit for hit, row in zip(right, rows, strict=True) if row["field"] == "f1"]
    assert found["accuracy/field/f1"].value == pytest.approx(sum(mine) / len(mine))


def test_hiding_words_and_tokens_differ(plain: Plain) -> None:
    text = "unbelievable histories"
    assert any(plain.tokenizer.tokens[token].startswith("##") for token in plain.ids(text))
    assert slow_score(plain, text, "word") != pytest.approx(slow_score(plain, text, "token"))


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        ({"sentence_good": "a"}, {}, r"a:2: lacks `sentence_bad`.*it has sentence_good"),
        ({"sentence_good": "a", "sentence_bad": 1}, {}, r"a:2: `sentence_bad` is 1, where a text is needed"),
        ({"sentence_good": "a", "sentence_bad": "a"}, {}, r"a:2: the two sentences are the same"),
        ({"sentence_good": "a b", "sentence_bad": "b a"}, {"groups": ["field"]}, r"a:1: lacks `field`"),
        (
            {"sentence_good": "我" * 9, "sentence_bad": "b"},
            {"longest": 10},
            r"a:2: .* has 11 tokens .* 3 to `longest` = 10",
        ),
        ({"sentence_good": "b", "sentence_bad": "\u200b"}, {}, r"a:2: .* has 2 tokens"),
    ],
)
def test_a_pair_that_cannot_be_judged_is_refused_with_its_place(
    row: dict[str, Any], settings: dict[str, Any], message: str, plain: Plain, written: Callable[..., None]
) -> None:
    written("a", [{"sentence_good": "a b", "sentence_bad": "b a"}, row])
    with pytest.raises(ValueError, match=message):
        MinimalPairs(paths=["a"], **settings).measure(plain.subject, "all", CPU, print)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"hide": "all"}, "hide: 'all' is not one of token, word"), ({"groups": ["a", "a"]}, "groups: .* twice")],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MinimalPairs(paths=["a"], **settings)


def test_a_suite_measures_them_all_and_goes_on_where_it_stopped(
    prepared: Path, plain: Plain, written: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written("pairs.jsonl", pairs()[:3])
    written("idioms.json", [{"content": "他#idiom#。", "candidates": ["学", "大学"], "answer": 1}])
    suite = {
        "output": str(tmp_path / "out"),
        "models": {"small": str(plain.folder)},
        "measures": {
            "cloze": {"kind": "cloze", "data": str(prepared), "units": 4, "longest": 32, "perplexity": False},
            "idioms": {"kind": "questions", "questions": {"kind": "chid", "paths": ["idioms.json"]}, "longest": 64},
            "pairs": {"kind": "minimal_pairs", "paths": ["pairs.jsonl"], "groups": ["field"], "longest": 64},
        },
    }
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    assert run_suite(tmp_path / "suite.yaml", [], True, False) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"cloze", "idioms", "pairs"}
    assert {"unit_accuracy/entity", "accuracy/word/2"} <= set(figures["cloze"])
    assert not any(name.startswith("perplexity") for name in figures["cloze"])
    assert set(figures["pairs"]) == {"accuracy", "accuracy/field/f0"}
    assert run_suite(tmp_path / "suite.yaml", [], False, True) == 0
    assert capsys.readouterr().out == "everything is measured\n"
    assert run_suite(tmp_path / "suite.yaml", ["measures.cloze.units=5"], False, True) == 0
    assert capsys.readouterr().out == "would measure small cloze\n"
