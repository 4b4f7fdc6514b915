"""Is a prepared folder what it says it is? Every byte hashed again, every shard's arrays checked against what training
relies on.

    verify(PREPARED)  ->  problems, one line each: `parts/000003/train.arrow: its content changed (sha256 ... expected,
                          ... found)`

A shard whose hash is right is still opened: ids below the size of the vocabulary; sentences and paragraphs that end
where the document ends; units of a level sorted, disjoint, inside their document and inside one sentence.

Shape legend: D documents, T tokens, S sentences, P paragraphs, U units of one level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.encoding import Tokenizer
from data_prep.files import read_json, sha256_file
from data_prep.planned import Plan
from data_prep.shard import Shard
from data_prep.shard_columns import DamagedShardError, ListColumn, UnitColumn
from data_prep.shard_writer import arrow_schema
from data_prep.shards import MANIFEST, SCHEMA_VERSION


def verify(folder: Path, listen: Callable[[int, int], None] = lambda done, total: None) -> Iterator[str]:
    """Everything that is wrong with a prepared folder. ``listen`` hears how many bytes of shards are read, and of how
    many.

    Raises:
        ValueError: nothing was ever prepared there.
    """
    if not (folder / "plan.json").is_file() and not (folder / MANIFEST).is_file():
        raise ValueError(
            f"{folder} is no prepared folder (neither plan.json nor {MANIFEST} in it). Give the `output` of a data "
            "configuration."
        )
    try:
        plan = Plan.read(folder)
        manifest = read_json(folder / MANIFEST)
    except FileNotFoundError as error:
        yield f"{Path(error.filename).name}: missing; preparation has not finished"
        return
    except ValueError as error:
        yield str(error)
        return
    if manifest.get("schema") != SCHEMA_VERSION:
        yield f"{MANIFEST}: schema {manifest.get('schema')!r}, this version of kmask reads {SCHEMA_VERSION}"
        return
    if manifest["fingerprint"] != plan.fingerprint:
        yield (
            f"{MANIFEST}: made by another plan ({manifest['fingerprint'][:12]}) than plan.json "
            f"({plan.fingerprint[:12]})"
        )
    yield from _tokenizer(folder, manifest["tokenizer"])
    yield from _parts(folder, plan, manifest)
    sizes = {
        shard["path"]: (folder / shard["path"]).stat().st_size
        for shard in manifest["shards"]
        if (folder / shard["path"]).is_file()
    }
    done = 0
    for shard in manifest["shards"]:
        yield from (f"{shard['path']}: {problem}" for problem in _shard(folder / shard["path"], shard, manifest))
        done += sizes.get(shard["path"], 0)
        listen(done, sum(sizes.values()))


def _tokenizer(folder: Path, expected: dict[str, Any]) -> Iterator[str]:
    tokenizer = Tokenizer(folder=folder / "tokenizer")
    try:
        found = {
            "vocabulary_sha256": tokenizer.vocabulary_sha256,
            "rules_sha256": tokenizer.rules_sha256,
            "size": len(tokenizer.tokens),
        }
    except Exception as error:  # the tokenizers library raises bare exceptions for damaged files
        yield f"tokenizer: cannot be read ({error})"
        return
    for name, value in found.items():
        if value != expected[name]:
            yield (
                f"tokenizer: its {name.removesuffix('_sha256')} changed ({str(expected[name])[:12]} expected, "
                f"{str(value)[:12]} found)"
            )


def _parts(folder: Path, plan: Plan, manifest: dict[str, Any]) -> Iterator[str]:
    """The parts' own reports against the plan and the manifest."""
    listed: dict[str, dict[str, Any]] = {shard["path"]: shard for shard in manifest["shards"]}
    reported: dict[str, Any] = {}
    for part in range(plan.parts):
        name = f"parts/{part:06d}/part.json"
        try:
            report = read_json(folder / name)
        except FileNotFoundError:
            yield f"{name}: missing"
            continue
        except ValueError as error:
            yield str(error)
            continue
        if report.get("fingerprint") != plan.fingerprint:
            yield (
                f"{name}: made by another plan ({str(report.get('fingerprint'))[:12]}) than plan.json "
                f"({plan.fingerprint[:12]})"
            )
        reported.update({shard["path"]: shard for shard in report.get("shards", [])})
    for path in sorted(listed.keys() | reported.keys()):
        if path in reported and listed.get(path) != reported[path]:
            yield f"{path}: {MANIFEST} and the part's own report disagree about it"


def _shard(path: Path, expected: dict[str, Any], manifest: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one shard."""
    if not path.is_file():
        yield "missing"
        return
    found = sha256_file(path)
    if found != expected["sha256"]:
        yield f"its content changed (sha256 {expected['sha256'][:12]} expected, {found[:12]} found)"
        return
    levels, labels, vocabulary = manifest["levels"], len(manifest["labels"]), manifest["tokenizer"]["size"]
    try:
        yield from check_shard(Shard(path, tuple(levels)), vocabulary, labels, expected)
    except DamagedShardError as error:
        yield f"cannot be read as a shard ({error.what})"
    except (ValueError, KeyError, IndexError) as error:
        yield f"cannot be read as a shard ({error})"


def check_shard(shard: Shard, vocabulary: int, labels: int, expected: dict[str, Any]) -> Iterator[str]:
    """What is wrong inside a shard, apart from its hash. ``expected`` gives the numbers of documents and tokens.

    Raises:
        ValueError: so much that its columns cannot be read.
    """
    schema = _schema(shard.path)
    pairs = "label" in schema.names
    wanted = arrow_schema(shard.levels, vocabulary, pairs, "segment_labels" in schema.names)
    if schema != wanted:
        names = [field.name for field in wanted if field.name not in schema.names or schema.field(field.name) != field]
        yield f"another schema than this version writes (columns {', '.join(names) or ', '.join(schema.names)})"
        return
    shard = replace(shard, compared=False)
    tokens, sentences, paragraphs = shard.token_ids, shard.sentence_ends, shard.paragraph_ends
    lists = {"token_ids": tokens, "flags": shard.flags, "sentence_ends": sentences, "paragraph_ends": paragraphs}
    lists.update({"segment_ends": shard.segment_ends} if pairs else {})
    length_D = np.diff(tokens.offsets_D1).astype(np.int64)
    if (len(shard), int(length_D.sum())) != (expected["documents"], expected["tokens"]):
        yield (
            f"{len(shard)} documents and {int(length_D.sum())} tokens, {expected['documents']} and "
            f"{expected['tokens']} expected"
        )
    if len(tokens.values) and int(tokens.values.max()) >= vocabulary:
        yield _at(
            shard,
            tokens.offsets_D1,
            tokens.values >= vocabulary,
            f"token id {int(tokens.values.max())}, the vocabulary has {vocabulary}",
        )
    if (np.diff(shard.flags.offsets_D1) != length_D).any():
        yield "flags: not one for each token"
    for name, column in lists.items():
        if name.endswith("_ends"):
            yield from _ends(shard, name, column, length_D)
    if "segment_labels" in schema.names and (shard.segment_labels.offsets_D1 != shard.segment_ends.offsets_D1).any():
        yield "segment_labels: not one for each segment"
    known = set(_global(sentences, length_D).tolist())
    if any(end not in known for end in _global(paragraphs, length_D).tolist()):
        yield "paragraph_ends: a paragraph ends inside a sentence"
    for level, units in shard.units.items():
        yield from _units(shard, level, units, length_D, labels)


def _schema(path: Path) -> Any:
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_stream(file).schema


def _global(column: ListColumn, length_D: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions in documents as positions in the shard."""
    first_D = np.cumsum(length_D) - length_D
    return column.values.astype(np.int64) + np.repeat(first_D, np.diff(column.offsets_D1))


def _ends(shard: Shard, name: str, column: ListColumn, length_D: npt.NDArray[np.int64]) -> Iterator[str]:
    """Ends must ascend inside a document, and the last be the document's."""
    ends, count_D = column.values.astype(np.int64), np.diff(column.offsets_D1)
    document_E = np.repeat(np.arange(len(count_D)), count_D)
    falls_E = np.zeros(len(ends), bool)
    falls_E[1:] = (np.diff(ends) <= 0) & (np.diff(document_E) == 0)
    if (falls_E | (ends < 1)).any():
        yield _at(shard, column.offsets_D1, falls_E | (ends < 1), f"{name}: not ascending")
    last_D = np.where(count_D > 0, ends[np.maximum(column.offsets_D1[1:] - 1, 0)] if len(ends) else 0, 0)
    wrong_D = (last_D != length_D) & ((count_D > 0) | (name != "segment_ends"))  # only pairs have segments
    if wrong_D.any():
        yield f"{name}: the last is not the document's end in {_named(shard, int(np.flatnonzero(wrong_D)[0]))}"


def _units(shard: Shard, level: str, units: UnitColumn, length_D: npt.NDArray[np.int64], labels: int) -> Iterator[str]:
    """Units must be sorted, disjoint, inside their document and one sentence, and carry a label that exists."""
    document_U = np.repeat(np.arange(len(length_D)), np.diff(units.offsets_D1))
    start_U = units.start_U.astype(np.int64)
    end_U = start_U + units.length_U
    overlaps_U = np.zeros(len(start_U), bool)
    overlaps_U[1:] = (start_U[1:] < end_U[:-1]) & (document_U[1:] == document_U[:-1])
    outside_U = (end_U > length_D[document_U]) | (units.length_U < (2 if level == "word" else 1))
    first_D = np.cumsum(length_D) - length_D
    sentence_ends = _global(shard.sentence_ends, length_D)
    first_U, last_U = (np.searchsorted(sentence_ends, first_D[document_U] + at, "right") for at in (start_U, end_U - 1))
    for wrong_U, problem in (
        (overlaps_U, "not sorted and disjoint"),
        (outside_U, "outside its document, or too short"),
        (~outside_U & (first_U != last_U), "crosses a sentence end"),
        (units.label_U >= labels, f"label beyond the {labels} of the manifest"),
    ):
        if wrong_U.any():
            yield _at(shard, units.offsets_D1, wrong_U, f"{level} unit: {problem}")


def _at(shard: Shard, offsets_D1: npt.NDArray[np.int32], wrong: npt.NDArray[np.bool_], problem: str) -> str:
    document = int(np.searchsorted(offsets_D1, np.flatnonzero(wrong)[0], "right")) - 1
    return f"{problem} ({int(wrong.sum())} time(s), first in {_named(shard, document)})"


def _named(shard: Shard, document: int) -> str:
    return f"document {document} `{shard.text_of('id', document)}`"
