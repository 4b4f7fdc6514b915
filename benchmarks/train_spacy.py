"""Small spaCy pipelines trained on the train parts of the gold sets, on a CPU, for the quality benchmark.

    python benchmarks/train_spacy.py [zh_ner] [en_ner] [en_tagger] [--data ../shared/data] [--output runs/quality]
        (default: all three)

    zh_ner      PER, LOC, ORG over single characters     6,000 sentences of People's Daily, Weibo's train part
    en_ner      PER, LOC, ORG, MISC                      WNUT 2017's and GUM's train parts
    en_tagger   Penn's tags                              the first 80 % of the CoNLL-2000 sentences, written as in print

A sentence that also occurs in a set the benchmark measures on is left out, and counted. Equal data, seed and versions
give equal weights. Each folder can be given to `kind: spacy_pipeline` or to `kind: chunks` as it is.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quality.gold_sets import Marked, chunked, divided, entities, written

SEED, BATCH = 11, 24
PEOPLES_DAILY_SENTENCES = 6_000
MEASURED = (
    *(
        "ner/zh/peoples_daily_example.dev.gz",
        "ner/zh/peoples_daily_example.test.gz",
        "ner/zh/weibo_dev.conll.gz",
        "ner/zh/cluener_train.json.gz",
    ),
    *("ner/en/wnut17dev.conll.gz", "ner/en/gum_dev.conllu.gz"),
)
"""The sets of entities that the benchmark measures on."""


class Recipe(NamedTuple):
    """How one pipeline is trained."""

    language: str
    component: str
    embedding: dict[str, Any]
    """Settings of spaCy's HashEmbedCNN that differ from its defaults; each layer (`depth`) sees one token further to
    both sides."""
    epochs: int
    examples: Callable[[Any, Path], list[Any]]


def named_entities(nlp: Any, sentences: Sequence[Marked]) -> list[Any]:
    """Examples for a recogniser. What the pipeline's tokenizer cannot mark is left unsaid, and counted."""
    from spacy.training import Example, offsets_to_biluo_tags

    found, misfits = [], 0
    for text, marked in sentences:
        doc = nlp.make_doc(text)
        fitting = [span for span in marked if doc.char_span(span[0], span[1]) is not None]
        misfits += len(marked) - len(fitting)
        tags = offsets_to_biluo_tags(doc, fitting)
        for start, end, _ in set(marked) - set(fitting):
            for token in doc.char_span(start, end, alignment_mode="expand"):
                tags[token.i] = "-"
        found.append(Example.from_dict(doc, {"entities": tags}))
    print(
        f"  {len(found):,} sentences, {sum(len(item.entities) for item in sentences):,} entities, {misfits} fit no token boundary"
    )
    return found


def unseen(sentences: Sequence[Marked], data: Path) -> list[Marked]:
    """Without the sentences that occur in a set the benchmark measures on."""
    measured = {"".join(item.text.split()) for name in MEASURED for item in entities(data / name)}
    kept = [item for item in sentences if "".join(item.text.split()) not in measured]
    print(f"  {len(sentences) - len(kept)} of {len(sentences):,} sentences occur in a measured set and are left out")
    return kept


def zh_entities(nlp: Any, data: Path) -> list[Any]:
    """A sample of People's Daily, and all of Weibo's train part."""
    daily = unseen(entities(data / "ner/zh/peoples_daily_ymcui_train.txt.gz"), data)
    sample = random.Random(SEED).sample(daily, min(PEOPLES_DAILY_SENTENCES, len(daily)))
    return named_entities(nlp, [*sample, *unseen(entities(data / "ner/zh/weibo_train.conll.gz"), data)])


def en_entities(nlp: Any, data: Path) -> list[Any]:
    """WNUT 2017's train part and GUM's."""
    sentences = [*entities(data / "ner/en/wnut17train.conll.gz"), *entities(data / "ner/en/gum_train.conllu.gz")]
    return named_entities(nlp, unseen(sentences, data))


def en_tags(nlp: Any, data: Path) -> list[Any]:
    """Sentences as in print, cut by spaCy's own tokenizer; a tag is learnt where its tokens are Penn's."""
    from spacy.tokens import Doc
    from spacy.training import Example

    found = []
    for sentence in divided(chunked(data / "chunk/conll2000_train.txt.gz"))[0]:
        words, spaces = written(sentence.words)
        reference = Doc(nlp.vocab, words=words, spaces=spaces, tags=list(sentence.tags))
        found.append(Example(nlp.make_doc(reference.text), reference))
    print(f"  {len(found):,} sentences")
    return found


RECIPES = {
    "zh_ner": Recipe("zh", "ner", {"depth": 6, "embed_size": 5000, "subword_features": False}, 5, zh_entities),
    "en_ner": Recipe("en", "ner", {}, 6, en_entities),
    "en_tagger": Recipe("en", "tagger", {}, 3, en_tags),
}


def train(recipe: Recipe, data: Path) -> Any:
    """A pipeline trained by a recipe."""
    import spacy
    from spacy.util import fix_random_seed, minibatch

    fix_random_seed(SEED)
    spacy.require_cpu()
    nlp = spacy.blank(recipe.language)
    nlp.add_pipe(recipe.component, config={"model": {"tok2vec": recipe.embedding}})
    examples = recipe.examples(nlp, data)
    optimizer = nlp.initialize(lambda: examples)
    order = random.Random(SEED)
    for epoch in range(recipe.epochs):
        begun, losses = time.monotonic(), dict[str, float]()
        order.shuffle(examples)
        for batch in minibatch(examples, BATCH):
            nlp.update(batch, sgd=optimizer, drop=0.2, losses=losses)
        print(
            f"  epoch {epoch + 1} of {recipe.epochs}: loss {losses[recipe.component]:,.0f}, {time.monotonic() - begun:.0f} s",
            flush=True,
        )
    return nlp


def main() -> None:
    """Train the pipelines that were named and write their folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(RECIPES)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the gold sets")
    parser.add_argument("--output", type=Path, default=Path("runs/quality"), help="folder to write the pipelines to")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(RECIPES):
        parser.error(f"{', '.join(sorted(unknown))} unknown; choose from {', '.join(RECIPES)}")
    for name in arguments.names or RECIPES:
        print(name, flush=True)
        nlp = train(RECIPES[name], arguments.data)
        nlp.meta["name"] = name
        arguments.output.mkdir(parents=True, exist_ok=True)
        nlp.to_disk(arguments.output / name)
        print(f"  written to {arguments.output / name}")


if __name__ == "__main__":
    main()
