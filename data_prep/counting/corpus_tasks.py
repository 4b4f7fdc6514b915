"""What can be done with a data configuration besides preparing it: mine a lexicon, count frequencies, read texts for a vocabulary.

    Preparation -> survey (annotators and vocabulary set aside: they may be what is being made) -> PartWorker -> step or texts

Intermediate files lie in a hidden folder beside the result, are picked up again after an interruption, and go when it is done.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from data_prep.counting.mining import LEXICON, Mining, MiningStep
from data_prep.documents import Document
from data_prep.files import write_atomic
from data_prep.parts import PartWorker
from data_prep.pipeline import sample_texts
from data_prep.plan import Listener, Preparation, make_plan
from data_prep.running.steps import run_step
from data_prep.vocabularies.vocabulary import Vocabulary


def survey(preparation: Preparation, listen: Listener) -> PartWorker:
    """The parts of the corpora of ``preparation``, for work that needs texts and words only.

    Raises:
        ValueError: the corpus is empty.
    """
    bare = dataclasses.replace(preparation, annotators=[], vocabulary=Vocabulary())
    plan = make_plan(bare, listen)
    if not plan["parts"]:
        raise ValueError(f"the corpus is empty: {len(plan['paths'])} file(s), no text in any of them ({', '.join(plan['paths'][:3])})")
    return PartWorker(preparation=bare, plan=plan, folder=Path(preparation.output))


def mine(preparation: Preparation, mining: Mining, file: Path, listen: Listener, mapped: Callable[[int, int], None]) -> int:
    """Write the mined lexicon to ``file`` and return its number of entries. ``mapped(done, parts)`` hears how far it is."""
    if unknown := set(mining.languages) - set(preparation.cleaning.known):
        raise ValueError(f"languages: {', '.join(sorted(unknown))}; give some of {', '.join(preparation.cleaning.known)}")
    worker = survey(preparation, listen)
    plan, parts = worker.plan, len(worker.plan["parts"])
    share = min(1.0, mining.sample_bytes / max(1, sum(item["size"] for item in plan["inputs"])))
    step = MiningStep(mining=mining, annotation=worker.annotation, share=share)
    work = file.with_name(f".{file.name}.work")
    result = run_step(step, worker.documents, parts, preparation.engine, work, plan["fingerprint"], lambda done: mapped(done, parts))
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
