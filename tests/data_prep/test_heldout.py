"""Documents kept apart for evaluation: by a hash of their id, and at least one where the share selects none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from test_pipeline import Here, content, quiet

from data_prep.corpora.jsonl import Jsonl
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.preparing.verification import verify
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary
from masking.keyed import hash_key, uniform


def preparation(folder: Path, tokenizer_folder: Path, ids: Iterable[str], heldout: float = 0.0001) -> Preparation:
    file = folder / "c.jsonl"
    file.write_text(
        "".join(json.dumps({"id": name, "text": f"The river {name} rises in the west."}) + "\n" for name in ids),
        encoding="utf-8",
    )
    corpora = [Jsonl(paths=[str(file)])]
    vocabulary = Vocabulary(path=str(tokenizer_folder))
    return Preparation(
        output=str(folder / "out"),
        corpora=corpora,
        vocabulary=vocabulary,
        heldout=heldout,
        part_bytes=300,
        engine=Here(),
    )


def ids_of(folder: Path, split: str) -> list[str]:
    return [shard.text_of("id", index) for shard in Prepared.open(folder).shards(split) for index in range(len(shard))]


def test_a_share_that_selects_none_keeps_the_document_with_the_smallest_draw_apart(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    names = [f"doc-{number}" for number in range(38)]
    asked = preparation(tmp_path, tokenizer_folder, names)
    manifest = prepare(asked, quiet)
    nearest = min(names, key=lambda name: uniform(hash_key("heldout", name), 0))
    assert ids_of(tmp_path / "out", "heldout") == [nearest]
    assert sorted([*ids_of(tmp_path / "out", "train"), nearest]) == sorted(names)
    assert manifest["counts"]["heldout.kept apart although the share selects none"] == 1
    assert list(verify(tmp_path / "out", lambda done, total: None)) == []
    before = content(tmp_path / "out")
    prepare(asked, quiet)
    assert content(tmp_path / "out") == before
    (tmp_path / "out/manifest.json").unlink()
    for part in sorted((tmp_path / "out/parts").iterdir()):
        (part / "part.json").unlink()
    prepare(asked, quiet)
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("names", "share"), [(["alone"], 0.0001), (["same", "same", "same"], 0.0001), (["a", "b", "c"], 0.0)]
)
def test_no_document_is_kept_apart_where_none_can_be_spared_or_none_is_wanted(
    names: list[str], share: float, tokenizer_folder: Path, tmp_path: Path
) -> None:
    manifest = prepare(preparation(tmp_path, tokenizer_folder, names, share), quiet)
    assert not ids_of(tmp_path / "out", "heldout")
    assert not any(name.startswith("heldout") for name in manifest["counts"])


def test_prepare_warns_when_the_share_selects_none(
    tokenizer_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from launch.reports.prepared.summary import summarise

    for names, told in (
        (["a", "b", "c"], "selects none of 3 documents; 1 is kept apart all the same"),
        (["a"], "selects none of 1 document(s), and none can"),
    ):
        folder = tmp_path / str(len(names))
        folder.mkdir()
        summarise(prepare(preparation(folder, tokenizer_folder, names), quiet), folder / "out", 1.0)
        assert f"warning: heldout: 0.0001 {told}" in capsys.readouterr().err
    folder = tmp_path / "enough"
    folder.mkdir()
    summarise(prepare(preparation(folder, tokenizer_folder, map(str, range(38)), 0.2), quiet), folder / "out", 1.0)
    assert "heldout" not in capsys.readouterr().err
