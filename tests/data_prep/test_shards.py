"""Shards: what is written is what is read, the same bytes each time, and damage is named with its remedy."""

from __future__ import annotations

import json
import pickle
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import shard_maps
from data_prep.documents import Label
from data_prep.encoded import Encoded, TokenUnits
from data_prep.encoding import Tokenizer
from data_prep.shard import Shard
from data_prep.shard_writer import arrow_schema, write_shard
from data_prep.shards import MANIFEST, SCHEMA_VERSION, Prepared

LEVELS = ("word", "entity")


def encoded(ids: list[int], units: dict[str, list[tuple[int, int, int]]] | None = None, **metadata: str) -> Encoded:
    def table(rows: list[tuple[int, int, int]]) -> TokenUnits:
        start, length, label = zip(*rows, strict=True) if rows else ((), (), ())
        return TokenUnits(np.array(start, np.uint32), np.array(length, np.uint16), np.array(label, np.uint8))

    count = len(ids)
    return Encoded(
        **{"id": "a", "language": "zh", "source": "s", "title": "", **metadata},
        token_ids_T=np.array(ids, np.int32),
        flags_T=np.arange(count, dtype=np.uint8) % 2,
        sentence_ends_S=np.array(sorted({max(1, count // 2), count}) if count else [], np.uint32),
        paragraph_ends_P=np.array([count] if count else [], np.uint32),
        units={level: table(rows) for level, rows in (units or {}).items()},
        dropped={},
    )


DOCUMENTS = [
    encoded(
        [5, 6, 7, 65535],
        {"word": [(0, 2, 0), (2, 2, 0)], "entity": [(1, 3, 254)]},
        id="文-1",
        title="长江",
        language="zh",
    ),
    encoded([], {"word": [], "entity": []}, id="empty", language="en"),
    encoded([9], {"entity": [(0, 1, 3)]}, id="no words", source="t"),
    encoded(
        list(range(100, 400)),
        {"word": [(start, 3, 0) for start in range(0, 300, 3)], "entity": [(10, 65, 1)]},
        id="long",
    ),
]


def check(shard: Shard, documents: list[Encoded]) -> None:
    assert len(shard) == len(documents)
    for index, document in enumerate(documents):
        for name in ("id", "language", "source", "title"):
            assert shard.text_of(name, index) == getattr(document, name)
        for column, array in (
            (shard.token_ids, document.token_ids_T),
            (shard.flags, document.flags_T),
            (shard.sentence_ends, document.sentence_ends_S),
            (shard.paragraph_ends, document.paragraph_ends_P),
        ):
            assert column.row(index).tolist() == array.tolist()
        assert set(shard.units) == set(shard.levels)
        for level, units in shard.units.items():
            start, end = units.offsets_D1[index : index + 2]
            table = document.units.get(level) or TokenUnits(*(np.zeros(0),) * 3)
            assert units.start_U[start:end].tolist() == table.start_U.tolist()
            assert units.length_U[start:end].tolist() == table.length_U.tolist()
            assert units.label_U[start:end].tolist() == table.label_U.tolist()


# --- one shard
# ------------------------------------------------------------------------------------------------------------------


def test_a_shard_gives_back_every_array_of_every_document(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.arrow", DOCUMENTS, LEVELS, 1000)
    check(Shard(tmp_path / "s.arrow", LEVELS), DOCUMENTS)


documents = st.lists(
    st.builds(
        lambda ids, title, words: encoded(
            ids, {"word": [(2 * index, 2, index % 3) for index in range(min(words, len(ids) // 2))]}, title=title
        ),
        st.lists(st.integers(0, 65535), max_size=20),
        st.text(max_size=5),
        st.integers(0, 10),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(documents)
def test_any_documents_survive_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, documents: list[Encoded]
) -> None:
    file = tmp_path_factory.getbasetemp() / "round-trip.arrow"
    write_shard(file, documents, LEVELS, 65536)
    check(Shard(file, LEVELS), documents)


def test_equal_documents_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_shard(tmp_path / name, DOCUMENTS, LEVELS, 1000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(("size", "kind"), [(1000, np.uint16), (1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_ids_take_the_smallest_type_that_holds_the_vocabulary(size: int, kind: Any, tmp_path: Path) -> None:
    ids = [0, 7, size - 1]
    write_shard(tmp_path / "s.arrow", [encoded(ids)], LEVELS, size)
    column = Shard(tmp_path / "s.arrow", LEVELS).token_ids
    assert column.values.dtype == kind
    assert column.row(0).tolist() == ids


def test_arrays_are_views_of_the_file(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.arrow", DOCUMENTS, LEVELS, 1000)
    shard = Shard(tmp_path / "s.arrow", LEVELS)
    row = shard.token_ids.row(3)
    assert np.shares_memory(row, shard.token_ids.values)
    assert not row.flags.writeable


def test_a_shard_opens_with_the_datasets_library(tmp_path: Path) -> None:
    from datasets import Dataset

    write_shard(tmp_path / "s.arrow", DOCUMENTS, LEVELS, 1000)
    dataset = Dataset.from_file(str(tmp_path / "s.arrow"))
    assert len(dataset) == len(DOCUMENTS)
    assert dataset[0]["title"] == "长江"
    assert dataset[0]["token_ids"] == [5, 6, 7, 65535]
    assert dataset[0]["units_entity"] == [{"start": 1, "length": 3, "label": 254}]
    assert dataset[1]["token_ids"] == []


def test_a_shard_can_be_sent_to_a_worker_after_it_was_read(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.arrow", DOCUMENTS, LEVELS, 1000)
    shard = Shard(tmp_path / "s.arrow", LEVELS)
    assert len(shard.token_ids.values) and shard.units
    sent = pickle.dumps(shard)
    assert len(sent) < 1000
    check(pickle.loads(sent), DOCUMENTS)


def test_a_shard_cut_short_anywhere_is_named_with_the_remedy(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.arrow", DOCUMENTS, LEVELS, 1000)
    whole = (tmp_path / "s.arrow").read_bytes()
    end_marker = 8
    for length in [0, 1, 7, 8, *range(16, len(whole) - end_marker, 97), len(whole) - end_marker - 1]:
        file = tmp_path / f"cut-{length}.arrow"
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is missing or damaged") as caught:
            len(Shard(file, LEVELS))
        assert str(file) in str(caught.value)
        assert "run `kmask prepare` again" in str(caught.value)


@pytest.mark.parametrize("content", [None, b"this is not an Arrow file, but a rather long line of text\n" * 9])
def test_a_missing_or_foreign_shard_is_named_with_the_remedy(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "s.arrow").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"s\.arrow is missing or damaged .* Run `kmask prepare verify .*run `kmask prepare` again"
    ):
        len(Shard(tmp_path / "s.arrow", LEVELS))


# --- damage inside a shard of the right size
# -----------------------------------------------------------------------------------


def read_all(shard: Shard) -> None:
    """Everything that training reads, the compiled division into windows included."""
    from masking import kernels

    kernels.group_ragged(shard.sentence_ends.values, shard.sentence_ends.offsets_D1, 64)
    columns = (shard.token_ids, shard.flags, shard.sentence_ends, shard.paragraph_ends, shard.segment_ends)
    for document in range(len(shard)):
        assert all(len(shard.text_of(name, document)) < 100 for name in ("id", "language", "source", "title"))
        assert all(column.row(document).sum() >= 0 for column in columns)
    assert len(shard.label) == len(shard)
    for units in shard.units.values():
        assert len(units.start_U) == len(units.length_U) == len(units.label_U) >= units.offsets_D1.max()


def test_a_flipped_bit_anywhere_is_named_or_changes_only_a_value(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.arrow", DOCUMENTS, LEVELS, 1000, pairs=True)
    read_all(Shard(tmp_path / "s.arrow", LEVELS))
    whole, named = (tmp_path / "s.arrow").read_bytes(), 0
    for bit in range(0, 8 * len(whole), 13):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file = tmp_path / f"{bit}.arrow"
        file.write_bytes(damaged)
        try:
            read_all(Shard(file, LEVELS))
        except ValueError as error:
            named += 1
            assert str(error).startswith(f"shard {file} ")
        file.unlink()
    assert named > 500


@pytest.mark.parametrize(
    "name", ["token_ids", "flags", "sentence_ends", "paragraph_ends", "segment_ends", "units_word", "units_entity"]
)
@pytest.mark.parametrize(("place", "value"), [(0, -1), (0, 1 << 30), (2, 0), (2, -5), (-1, 1 << 30), (-1, 0)])
def test_offsets_that_fall_or_leave_their_column_are_named_before_anybody_follows_them(
    name: str, place: int, value: int, tmp_path: Path
) -> None:
    write_shard(tmp_path / "s.arrow", PAIRS, LEVELS, 1000, pairs=True)
    shard = Shard(tmp_path / "s.arrow", LEVELS)
    offsets = shard.units[name[6:]].offsets_D1 if name.startswith("units") else getattr(shard, name).offsets_D1
    changed = offsets.copy()
    changed[place] = value
    if np.array_equal(changed, offsets):
        pytest.skip("no damage for this column")
    whole, start = (
        (tmp_path / "s.arrow").read_bytes(),
        offsets.ctypes.data - shard._batch.column("id").buffers()[1].address,
    )
    body = whole.index(shard._batch.column("id").buffers()[1].to_pybytes())
    assert whole[body + start : body + start + 4 * len(offsets)] == offsets.tobytes()
    (tmp_path / "bad.arrow").write_bytes(
        whole[: body + start] + changed.tobytes() + whole[body + start + 4 * len(offsets) :]
    )
    with pytest.raises(ValueError, match=rf"bad\.arrow is missing or damaged \({name}: .* Run `kmask prepare verify"):
        read_all(Shard(tmp_path / "bad.arrow", LEVELS))


@pytest.mark.parametrize("name", ["sentence_ends", "paragraph_ends"])
@pytest.mark.parametrize(
    ("ends", "problem"),
    [
        ([2, 5], ""),
        ([5], ""),
        ([0, 5], "those of document 1 do not rise"),
        ([2, 2, 5], "those of document 1 do not rise"),
        ([3, 2, 5], "those of document 1 do not rise"),
        ([4_000_000_000, 5], "those of document 1 do not rise"),
        ([2, 4], "the last of document 1 is not its end"),
        ([2, 6], "the last of document 1 is not its end"),
        ([], "document 1 has 5 tokens and 0 ends"),
    ],
)
def test_sentences_that_do_not_rise_to_the_end_of_their_document_are_named(
    name: str, ends: list[int], problem: str, tmp_path: Path
) -> None:
    bad = replace(encoded([1, 2, 3, 4, 5]), **{f"{name}_{name[0].upper()}": np.array(ends, np.uint32)})
    write_shard(tmp_path / "s.arrow", [encoded([1, 2, 3]), bad, encoded([]), encoded([7])], LEVELS, 1000)
    shard = Shard(tmp_path / "s.arrow", LEVELS)
    if not problem:
        assert getattr(shard, name).row(1).tolist() == ends
        return
    with pytest.raises(ValueError, match=rf"s\.arrow is missing or damaged \({name}: {problem}\)"):
        getattr(shard, name)


def test_an_empty_document_with_a_sentence_and_flags_of_another_length_are_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.arrow", [replace(encoded([]), sentence_ends_S=np.array([1], np.uint32))], LEVELS, 1000)
    with pytest.raises(ValueError, match=r"sentence_ends: document 0 has 0 tokens and 1 ends"):
        _ = Shard(tmp_path / "a.arrow", LEVELS).sentence_ends
    write_shard(tmp_path / "b.arrow", [replace(encoded([5, 6]), flags_T=np.zeros(3, np.uint8))], LEVELS, 1000)
    with pytest.raises(ValueError, match=r"flags: not one for each token"):
        _ = Shard(tmp_path / "b.arrow", LEVELS).flags


def test_a_part_of_a_prepared_folder_is_named_with_the_folder_to_verify(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"Run `kmask prepare verify {tmp_path}`, delete the part it names"):
        len(Shard(tmp_path / "parts/000003/train.arrow", LEVELS))


# --- labelled pairs
# -------------------------------------------------------------------------------------------------------------


def pair(ids: list[int], ends: list[int], label: int) -> Encoded:
    return replace(encoded(ids, {"word": [(0, 2, 0)]}), segment_ends_G=np.array(ends, np.uint32), label=label)


PAIRS = [pair([5, 6, 7], [1, 3], 2), pair([5, 6], [2], -1), encoded([9]), pair([5, 6], [0, 2], 32767), encoded([])]


def test_a_shard_of_pairs_gives_back_segments_and_labels(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.arrow", PAIRS, LEVELS, 1000, pairs=True)
    shard = Shard(tmp_path / "s.arrow", LEVELS)
    check(shard, PAIRS)
    assert [shard.segment_ends.row(index).tolist() for index in range(5)] == [[1, 3], [2], [], [0, 2], []]
    assert shard.label.tolist() == [2, -1, -1, 32767, -1]
    assert not shard.label.flags.writeable


def test_a_shard_of_pairs_opens_with_the_datasets_library(tmp_path: Path) -> None:
    from datasets import Dataset

    write_shard(tmp_path / "s.arrow", PAIRS, LEVELS, 1000, pairs=True)
    dataset = Dataset.from_file(str(tmp_path / "s.arrow"))
    assert dataset["label"][:] == [2, -1, -1, 32767, -1]
    assert dataset[0]["segment_ends"] == [1, 3]


def test_without_pairs_a_shard_has_the_columns_it_always_had(tmp_path: Path) -> None:
    names = [
        "id",
        "language",
        "source",
        "title",
        "token_ids",
        "flags",
        "sentence_ends",
        "paragraph_ends",
        "units_word",
        "units_entity",
    ]
    assert arrow_schema(LEVELS, 1000, False).names == names
    assert arrow_schema(LEVELS, 1000, True).names == [*names, "segment_ends", "label"]
    write_shard(tmp_path / "s.arrow", PAIRS, LEVELS, 1000)
    for column in ("segment_ends", "label"):
        with pytest.raises(ValueError, match=r"s\.arrow holds no labelled pairs\. Prepare them with `kind: pairs`"):
            getattr(Shard(tmp_path / "s.arrow", LEVELS), column)


# --- a prepared folder
# ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def prepared(tmp_path: Path, tokenizer_folder: Path) -> Path:
    """A prepared folder with two train shards, one of them empty, and a held-out one."""
    folder = tmp_path / "prepared"
    shutil.copytree(tokenizer_folder, folder / "tokenizer")
    tokenizer = Tokenizer(folder=folder / "tokenizer")
    entries = []
    for part, split, documents in ((0, "train", DOCUMENTS), (0, "heldout", DOCUMENTS[:1]), (1, "train", [])):
        path = f"parts/{part:06d}/{split}.arrow"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_shard(folder / path, documents, LEVELS, len(tokenizer.tokens))
        tokens = sum(len(document.token_ids_T) for document in documents)
        entries.append(
            {
                "path": path,
                "split": split,
                "documents": len(documents),
                "tokens": tokens,
                "sha256": "0",
                "size": (folder / path).stat().st_size,
            }
        )
    manifest = {
        "schema": SCHEMA_VERSION,
        "fingerprint": "f",
        "tokenizer": {
            "vocabulary_sha256": tokenizer.vocabulary_sha256,
            "rules_sha256": tokenizer.rules_sha256,
            "size": len(tokenizer.tokens),
        },
        "levels": LEVELS,
        "labels": [{"type": "", "origin": "segmenter"}, {"type": "LOC", "origin": "lexicon"}],
        "shards": entries,
        "counts": {"documents.s.zh": 4},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def edit(prepared: Path) -> Callable[..., None]:
    """Change keys of the manifest."""

    def change(**values: Any) -> None:
        manifest = json.loads((prepared / MANIFEST).read_text())
        (prepared / MANIFEST).write_text(json.dumps({**manifest, **values}))

    return change


def test_a_prepared_folder_opens_with_its_splits(prepared: Path) -> None:
    opened = Prepared.open(prepared)
    assert opened.levels == LEVELS
    assert opened.labels == (Label("", "segmenter"), Label("LOC", "lexicon"))
    assert [len(shard) for shard in opened.shards("train")] == [4]
    assert [len(shard) for shard in opened.shards("heldout")] == [1]
    assert (opened.tokens("train"), opened.tokens("heldout")) == (305, 4)
    assert opened.counts == {"documents.s.zh": 4}
    check(opened.shards("train")[0], DOCUMENTS)


def test_classes_are_known_by_split(prepared: Path, edit: Callable[..., None]) -> None:
    assert Prepared.open(prepared).classes == {}
    edit(classes={"train": ["a", "b"], "discourse": ["but"]})
    assert Prepared.open(prepared).classes == {"train": ("a", "b"), "discourse": ("but",)}


def test_without_a_manifest_the_hint_says_whether_preparation_began(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no manifest\.json: run `kmask prepare` first"):
        Prepared.open(tmp_path / "nowhere")
    (prepared / MANIFEST).unlink()
    with pytest.raises(ValueError, match=r"holds no manifest\.json: run `kmask prepare` first"):
        Prepared.open(prepared)
    (prepared / "plan.json").write_text("{}")
    with pytest.raises(ValueError, match="preparation has not finished: run `kmask prepare` again, it continues"):
        Prepared.open(prepared)


@pytest.mark.parametrize("schema", [SCHEMA_VERSION + 1, 0, None, "1"])
def test_an_unknown_schema_is_refused(schema: Any, prepared: Path, edit: Callable[..., None]) -> None:
    edit(schema=schema)
    with pytest.raises(
        ValueError, match=f"schema {schema!r}, this version of kmask reads {SCHEMA_VERSION}. Prepare the corpus again"
    ):
        Prepared.open(prepared)


def test_a_damaged_manifest_is_named(prepared: Path) -> None:
    (prepared / MANIFEST).write_text('{"schema": 1,')
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        Prepared.open(prepared)


@pytest.mark.parametrize("change", ["vocabulary", "rules"])
def test_another_tokenizer_in_the_folder_is_refused_with_the_remedy(change: str, prepared: Path) -> None:
    file = prepared / "tokenizer/tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    if change == "rules":
        content["normalizer"]["lowercase"] = False
    else:
        content["model"]["vocab"]["extra"] = len(content["model"]["vocab"])
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(
        ValueError,
        match=f"made with another tokenizer .*their {change} differ.* Prepare the corpus again with this tokenizer, or use theirs",
    ):
        Prepared.open(prepared)


def test_a_missing_tokenizer_is_named(prepared: Path) -> None:
    shutil.rmtree(prepared / "tokenizer")
    with pytest.raises(ValueError, match=r"tokenizer holds no tokenizer\.json"):
        Prepared.open(prepared)


def test_missing_shards_are_counted_and_the_first_is_named(prepared: Path) -> None:
    (prepared / "parts/000000/heldout.arrow").unlink()
    (prepared / "parts/000001/train.arrow").unlink()
    with pytest.raises(
        ValueError, match=r"2 shard\(s\) missing, first parts/000000/heldout\.arrow\. Run `kmask prepare` again"
    ):
        Prepared.open(prepared)


def test_shards_of_another_size_than_they_were_made_with_are_counted_and_the_first_is_named(prepared: Path) -> None:
    for name, change in (("heldout", lambda whole: whole + b"x"), ("train", lambda whole: whole[:-8])):
        file = prepared / f"parts/000000/{name}.arrow"
        size = file.stat().st_size
        file.write_bytes(change(file.read_bytes()))
    told = rf"2 shard\(s\) have another size than the manifest says, first parts/000000/train\.arrow \({size:,} bytes expected, {size - 8:,} found\)"
    with pytest.raises(
        ValueError,
        match=rf"{told}\. Run `kmask prepare verify {prepared}`, delete the parts it names and run `kmask prepare` again",
    ):
        Prepared.open(prepared)


def test_of_very_many_shards_the_newest_are_mapped_and_all_can_be_read(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_maps, "_mapped", deque())
    monkeypatch.setattr(shard_maps, "most", lambda: 3)
    original = Prepared.open(prepared).shards("train")[0]
    copies = [
        Shard(Path(shutil.copyfile(original.path, tmp_path / f"{number}.arrow")), original.levels)
        for number in range(8)
    ]

    def mapped() -> int:
        return len(
            {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line}
        )

    held = copies[0].token_ids.row(0)
    expected = held.tolist()
    for _ in range(2):
        for shard in copies:
            assert shard.token_ids.row(0).tolist() == expected
            assert shard.text_of("id", 0) == original.text_of("id", 0)
            assert mapped() <= 4  # three, and the one whose array is held
    assert held.tolist() == expected
