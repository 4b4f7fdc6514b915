"""What can be done with a data configuration besides preparing it: mine a lexicon, read texts for a vocabulary.

    Preparation -> survey (annotators and vocabulary set aside: they may be what is being made) -> PartWorker -> step or
    texts

The survey of a large corpus is made by all workers and kept in the prepared folder, where `kmask prepare` and the next
command find it. Intermediate files lie in a hidden folder beside the result, are picked up again after an interruption,
and go when it is done.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data_prep.counting.mining import Mining
from data_prep.counting.mining_step import LEXICON, MiningStep
from data_prep.documents import Document
from data_prep.files import staging_name, write_atomic
from data_prep.inputs.file_names import FoundFiles
from data_prep.planned import Plan
from data_prep.preparing.parts import PartWorker
from data_prep.preparing.pipeline import sample_texts
from data_prep.preparing.plan import Listener, Preparation, check_not_empty, make_plan
from data_prep.running.steps import run_step
from data_prep.running.supervision import NOTES, Watch
from data_prep.vocabularies.sampling import Sample
from data_prep.vocabularies.tokenizer_step import TokenizerStep, place_tokenizer
from data_prep.vocabularies.vocabulary import Vocabulary


def survey(preparation: Preparation, listen: Listener) -> PartWorker:
    """The parts of the corpora of ``preparation``, for work that needs texts and words only.

    Raises:
        ValueError: the corpus is empty.
    """
    bare = dataclasses.replace(preparation, annotators=[], vocabulary=Vocabulary())
    plan = kept_plan(bare, listen)
    check_not_empty(plan)
    return PartWorker(preparation=bare, plan=plan, folder=Path(preparation.output))


def kept_plan(preparation: Preparation, listen: Listener, found: Sequence[FoundFiles] | None = None) -> Plan:
    """The plan of ``preparation``; a large corpus is surveyed once for all commands. ``found``: its files, where they
    are listed already."""
    watch = Watch(folder=Path(preparation.output), launch=staging_name(NOTES))
    try:
        return make_plan(preparation, listen, watch, found)
    finally:
        shutil.rmtree(watch.folder / watch.launch, ignore_errors=True)


def train(preparation: Preparation, folder: Path, mapped: Callable[[int, int], None]) -> None:
    """Write the tokenizer folder that ``preparation`` would train, counting words in all workers. ``mapped(done,
    parts)`` hears how far it is."""
    worker = survey(preparation, lambda progress: None)
    parts = worker.plan.parts
    reader = dataclasses.replace(worker.reader, sample=Sample.of(worker.plan, preparation.vocabulary.train_characters))
    work = folder.with_name(f".{folder.name}.work")
    step = TokenizerStep(vocabulary=preparation.vocabulary)
    result = run_step(
        step,
        reader.documents,
        parts,
        preparation.engine,
        work,
        worker.plan.fingerprint,
        lambda done: mapped(done, parts),
    )
    place_tokenizer(result, folder)
    shutil.rmtree(work)


def mine(
    preparation: Preparation, mining: Mining, file: Path, listen: Listener, mapped: Callable[[int, int], None]
) -> int:
    """Write the mined lexicon to ``file`` and return its number of entries. ``mapped(done, parts)`` hears how far it
    is."""
    if unknown := set(mining.languages) - set(preparation.cleaning.known):
        raise ValueError(
            f"languages: {', '.join(sorted(unknown))}; give some of {', '.join(preparation.cleaning.known)}"
        )
    worker = survey(preparation, listen)
    plan, parts = worker.plan, worker.plan.parts
    share = min(1.0, mining.sample_bytes / max(1, plan.bytes))
    step = MiningStep(mining=mining, annotation=worker.annotation, share=share)
    work = file.with_name(f".{file.name}.work")
    result = run_step(
        step, worker.documents, parts, preparation.engine, work, plan.fingerprint, lambda done: mapped(done, parts)
    )
    lexicon = (result / LEXICON).read_text(encoding="utf-8")
    write_atomic(file, lexicon)
    shutil.rmtree(work)
    return sum(not line.startswith("#") for line in lexicon.split("\n")[:-1])


def texts(preparation: Preparation, characters: int, listen: Listener) -> Iterator[str]:
    """Cleaned texts of the corpora, about so many characters taken evenly over them."""
    return sample_texts(survey(preparation, listen), characters, listen)


def documents(preparation: Preparation, characters: int, listen: Listener) -> Iterator[Document]:
    """The same as documents, without ids."""
    for text in texts(preparation, characters, listen):
        yield Document(id="", language="", text=text, title="", source="")
