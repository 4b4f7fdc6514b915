"""Document frequencies: exact, bounded, the same for every division of the corpus."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from data_prep.annotation import WORD, Annotation
from data_prep.annotators.lexicon import Lexicon
from data_prep.counting import frequencies
from data_prep.counting.frequencies import Frequencies, FrequencyStep
from data_prep.documents import Document
from data_prep.segmenters.pretokenizer import Pretokenizer
from data_prep.segmenters.rjieba import Rjieba

TEXTS = ["The river, the river Po.", "A river in Rome", "Rome and the sea. rome!", "plain"]


def counted(texts: list[str], folder: Path, parts: int = 1, lexicon: Path | None = None, language: str = "en", **settings: object) -> Frequencies:
    annotators = [Lexicon(level="entity", paths=[str(lexicon)], type="LOC")] if lexicon else []
    labels = {label: number for number, label in enumerate([WORD, *(label for annotator in annotators for label in annotator.labels())])}
    annotation = Annotation(segmenters={"en": Pretokenizer(), "zh": Rjieba()}, annotators=annotators, labels=labels)
    step = FrequencyStep(annotation=annotation, **settings)  # type: ignore[arg-type]
    folders = [folder / f"part{number}" for number in range(parts)]
    for number, part in enumerate(folders):
        part.mkdir(parents=True)
        documents = (Document(id=str(index), language=language, text=text, title="", source="s") for index, text in enumerate(texts) if index % parts == number)
        step.map(enumerate(documents), part)
    (folder / "result").mkdir()
    step.reduce(folders, folder / "result")
    return Frequencies.open(folder / "result")


def test_documents_and_occurrences_are_counted(tmp_path: Path) -> None:
    found = counted(TEXTS, tmp_path, min_documents=1)
    assert found.documents == 4
    assert found.counts("river") == (2, 3)
    assert found.counts("Rome") == found.counts("rome") == (2, 3)
    assert found.counts("a") == (1, 1), "a letter on its own is a word"
    assert found.counts("nowhere") == (0, 0)


def test_idf_falls_with_the_number_of_documents_and_is_highest_for_unknown_terms(tmp_path: Path) -> None:
    found = counted(TEXTS, tmp_path, min_documents=1)
    assert found.idf("river") == pytest.approx(math.log(5 / 3) + 1)
    assert found.idf("nowhere") == pytest.approx(math.log(5) + 1)
    assert found.idf("the") == found.idf("river") < found.idf("plain") < found.idf("nowhere")


def test_letter_case_is_kept_when_asked(tmp_path: Path) -> None:
    found = counted(TEXTS, tmp_path, min_documents=1, lowercase=False)
    assert (found.counts("Rome"), found.counts("rome")) == ((2, 2), (1, 1))


def test_terms_of_too_few_documents_are_left_out(tmp_path: Path) -> None:
    found = counted(TEXTS, tmp_path)
    assert set(found.table["term"].to_pylist()) == {"the", "river", "rome"}


def test_units_of_a_lexicon_have_a_level_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("北京大学\n", encoding="utf-8")
    found = counted(
        ["他在北京大学。", "北京大学的山", "北京大学，北京大学", "山"], tmp_path / "f", lexicon=tmp_path / "lexicon.txt", language="zh", min_documents=1
    )
    assert found.counts("北京大学", "entity") == (3, 4)
    assert found.counts("山") == (2, 2)
    assert found.counts("山", "entity") == (0, 0)


@pytest.mark.parametrize("held", [3, 1_000_000])
def test_parts_and_flushes_do_not_change_the_counts(held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frequencies, "HELD_TERMS", held)
    texts = [f"{word} {other} {word}" for word in ("aa", "bb", "cc", "dd") for other in ("aa", "ee", "ff")]
    expected = Counter(term for text in texts for term in set(text.split()))
    tables = [counted(texts, tmp_path / str(parts), parts=parts, min_documents=1) for parts in (1, 5)]
    assert dict(zip(tables[0].table["term"].to_pylist(), tables[0].table["documents"].to_pylist(), strict=True)) == expected
    files = [(tmp_path / str(parts) / "result" / frequencies.TABLE).read_bytes() for parts in (1, 5)]
    assert tables[0].table.equals(tables[1].table)
    assert len(files[0]) == len(files[1])


def test_a_folder_without_frequencies_and_an_impossible_setting_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no document frequencies"):
        Frequencies.open(tmp_path)
    with pytest.raises(ValueError, match=r"^min_documents: "):
        FrequencyStep(annotation=Annotation(segmenters={}, annotators=[], labels={}), min_documents=0)
