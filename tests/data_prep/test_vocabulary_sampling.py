"""Which text a vocabulary is trained on: a keyed sample in which no source and no language is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.corpora.jsonl import Jsonl
from data_prep.corpora.plain_text import PlainText
from data_prep.documents import Document
from data_prep.encoding import Tokenizer
from data_prep.engines.local import Local
from data_prep.preparing.pipeline import prepare, sample_texts
from data_prep.preparing.plan import Preparation, StageProgress, make_plan
from data_prep.preparing.reading import PartReader
from data_prep.vocabularies.sampling import PASSAGE, Sample, chosen, even_budgets, passages
from data_prep.vocabularies.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parents[2]
HAN = re.compile("[\u4e00-\u9fff]")


def quiet(progress: StageProgress) -> None:
    pass


def test_a_budget_is_divided_evenly_and_what_one_leaves_goes_to_the_others() -> None:
    assert even_budgets(10, {"b": 30, "a": 2, "c": 30}) == {"a": 2, "b": 4, "c": 4}
    assert even_budgets(100, {"a": 2, "b": 30}) == {"a": 2, "b": 30}
    assert even_budgets(10, {}) == {}


def test_the_example_of_the_module_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_prep.vocabularies.sampling.uniform", lambda key, draw: 0.5)
    assert chosen("x", 1, 9 * PASSAGE, 1 / 3) == [1, 4, 7]


@given(st.text(max_size=8), st.integers(0, 60_000), st.floats(1e-4, 1.0))
def test_every_document_gives_its_share_of_passages_to_one(identity: str, characters: int, share: float) -> None:
    numbers = chosen(identity, 7, characters, share)
    whole = -(-characters // PASSAGE)
    assert abs(len(numbers) - share * whole) <= 1
    assert numbers == sorted(set(numbers)) and all(0 <= number < whole for number in numbers)


@given(st.lists(st.sampled_from(["word ", "长江", "x" * 90, "\n"]), max_size=400).map("".join))
def test_passages_cover_a_text_once_and_cut_no_short_word(text: str) -> None:
    numbers = range(-(-len(text) // PASSAGE))
    pieces = [passages(text, [number]) for number in numbers]
    assert "".join(pieces) == text
    assert passages(text, numbers) == "\n".join(pieces)
    assert not any(piece.endswith(("w", "wo", "wor")) for piece in pieces)


def test_short_documents_are_drawn_at_their_rate() -> None:
    """10,000 documents at .1: a standard error of 30; 150 is five of them, a false alarm in 10^6."""
    assert sum(map(len, (chosen(f"doc-{number}", 1, 200, 0.1) for number in range(10_000)))) == pytest.approx(
        1000, abs=150
    )
    assert sum(map(len, (chosen("the same id", number, 200, 0.1) for number in range(10_000)))) == pytest.approx(
        1000, abs=150
    )


def two_languages(folder: Path, one_file: bool) -> list[Path]:
    """240 kB of English, then 150 kB of Chinese, of the example corpus."""
    found = []
    for name, size in (("en", 240_000), ("zh", 150_000)):
        lines = (ROOT / f"examples/corpus/{name}.jsonl").read_bytes().splitlines(keepends=True)
        written = b""
        while len(written) < size:
            written += lines[len(written) % len(lines)]
        found.append(folder / f"{name}.jsonl")
        found[-1].write_bytes(written)
    if one_file:
        (folder / "both.jsonl").write_bytes(b"".join(file.read_bytes() for file in found))
        return [folder / "both.jsonl"]
    return found


def preparation(folder: Path, files: list[Path], **settings: object) -> Preparation:
    vocabulary = Vocabulary(size=2000, **settings)  # type: ignore[arg-type]
    corpora = [Jsonl(paths=[str(file) for file in files])]
    return Preparation(
        output=str(folder / "out"), corpora=corpora, vocabulary=vocabulary, engine=Local(workers=1), part_bytes=100_000
    )


@pytest.mark.parametrize("one_file", [False, True])
def test_a_small_limit_misses_no_language(one_file: bool, tmp_path: Path) -> None:
    """It took the first parts: no Chinese character, and 57 % of all tokens unknown."""
    asked = preparation(tmp_path, two_languages(tmp_path, one_file), train_characters=30_000)
    manifest = prepare(asked, quiet)
    tokens = Tokenizer(folder=tmp_path / "out/tokenizer").tokens
    assert sum(bool(HAN.match(token)) for token in tokens) > 300
    assert any(len(token) > 5 for token in tokens)
    assert manifest["counts"]["tokens.unknown"] < 0.15 * sum(shard["tokens"] for shard in manifest["shards"])


def test_a_sample_has_about_the_size_wanted_half_of_each_language_and_is_always_the_same(tmp_path: Path) -> None:
    asked = preparation(tmp_path, two_languages(tmp_path, False))
    plan = make_plan(asked, quiet)
    found = []
    for _ in range(2):
        reader = PartReader(preparation=asked, plan=plan, folder=tmp_path / "out", sample=Sample.of(plan, 40_000))
        found.append(
            [item for part in range(plan.parts) for item in reader.documents(part) if isinstance(item, Document)]
        )
    assert found[0] == found[1]
    sizes = {
        language: sum(len(item.text) for item in found[0] if item.language == language) for language in ("zh", "en")
    }
    assert sizes["en"] == pytest.approx(20_000, rel=0.3)
    assert sizes["zh"] == pytest.approx(20_000, rel=0.3)


def test_one_long_document_gives_passages_and_a_corpus_within_the_limit_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("江水向东流去。" * 20_000 + "龘", encoding="utf-8")
    asked = Preparation(output=str(tmp_path / "out"), corpora=[PlainText(paths=[str(tmp_path / "long.txt")])])
    plan = make_plan(asked, quiet)
    assert Sample.of(plan, 10**6) is None
    from data_prep.preparing.parts import PartWorker

    worker = PartWorker(preparation=asked, plan=plan, folder=tmp_path / "out")
    assert sum(map(len, sample_texts(worker, 10_000, quiet))) == pytest.approx(10_000, rel=0.3)
    assert sum(map(len, sample_texts(worker, 10**6, quiet))) == 140_001


def test_a_vocabulary_that_does_not_fit_is_told_with_the_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from launch.preparing.running import run_prepare
    from launch.reports.prepared.facts import Facts
    from launch.reports.prepared.report import report

    file = two_languages(tmp_path, True)[0]
    english = tmp_path / "en.yaml"
    english.write_text(
        f"output: {tmp_path / 'en'}\ncorpora: [{{kind: jsonl, paths: [{tmp_path / 'en.jsonl'}]}}]\nvocabulary: {{size: 800}}\n"
    )
    assert run_prepare(english, []) == 0
    assert "[UNK]: the vocabulary" not in capsys.readouterr().err
    both = tmp_path / "both.yaml"
    both.write_text(
        json.dumps(
            {
                "output": str(tmp_path / "both"),
                "corpora": [{"kind": "jsonl", "paths": [str(file)]}],
                "vocabulary": {"path": f"{tmp_path}/en/tokenizer"},
            }
        )
    )
    assert run_prepare(both, []) == 0
    told = capsys.readouterr().err
    assert (
        re.search(r"warning: \d+\.\d% of the [\d,]+ tokens of zh are \[UNK\].* unknown characters: .*的", told)
        and "tokens of en" not in told
    )
    assert "tokens of zh are [UNK]" in report(Facts.read(tmp_path / "both"))
