"""A small corpus of well-known facts in Chinese and English: what the demo learns from.

    world/facts.tsv       France 法国 ... Paris 巴黎 ... Seine 塞纳河     a country a line
    world/sentences.tsv   The capital of {c} is {a}.                  five wordings of every kind of fact
    world/links.tsv       However, ...                                sentences that follow a fact, with their markers
    ->  OUT_FOLDER/en.jsonl, zh.jsonl                                 several portraits of each country
        OUT_FOLDER/entities.en.tsv, entities.zh.tsv                   every name in them, with its type

A portrait tells the facts of a country in the same order, each in one of its wordings. For each fact of each country
one wording is held out: only documents that `kmask prepare` keeps apart for evaluation have it. So no sentence that is
asked there was ever read, and a right answer is knowledge of the fact, not of the sentence. Everything is drawn from
keys: the files are the same bytes on every machine.

python examples/world.py runs/demo/world
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from masking.keyed import hash_key, hash_keys, uniform, uniform_array

TABLES = Path(__file__).parent / "world"
LANGUAGES = ("en", "zh")
PORTRAITS = 7
"""Documents of each country in each language."""
HELDOUT = 0.15
"""Share of documents kept apart; `heldout` of configs/data/world.yaml must be the same."""
LARGEST, LINKED = 0.7, 0.55
"""How often the largest city is told where it is not the capital, and how often a fact is followed by a link."""
TYPES = {
    "country": "COUNTRY",
    "continent": "CONTINENT",
    "capital": "CITY",
    "largest": "CITY",
    "river": "RIVER",
    "language": "LANGUAGE",
    "currency": "CURRENCY",
}
"""Types in the lexicons, by kind of fact."""
ORDER = ("continent", "coast", "capital", "largest", "river", "language", "currency")
"""The order of a portrait."""

Row = dict[str, str]


@cache
def table(name: str) -> list[list[str]]:
    """The lines of a table, cut at tabs; comments left out."""
    lines = (TABLES / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def countries() -> list[Row]:
    """Every country with its facts by `kind.language`."""
    head, *rows = table("facts.tsv")
    return [dict(zip(head, row, strict=True)) for row in rows]


def choose(items: Sequence[str], *parts: str | int) -> str:
    """One of several, drawn by a key."""
    return items[hash_key("world", *parts) % len(items)]


def is_held_out(name: str) -> bool:
    """Does `kmask prepare` keep the document with this id apart? The same hash as in data_prep/preparing."""
    return bool(uniform_array(hash_keys("heldout", [name]), 0)[0] < HELDOUT)


def wordings(country: str, language: str, kind: str) -> tuple[list[str], str]:
    """The wordings of a fact that training reads, and the one that is held out."""
    known = [text for code, name, text in table("sentences.tsv") if (code, name) == (language, kind)]
    kept = choose(known, "kept", country, language, kind)
    return [text for text in known if text != kept], kept


def sentence(text: str, facts: Row, language: str, kind: str) -> str:
    """A wording with its names, and a capital letter at its start."""
    filled = text.format(c=facts[f"country.{language}"], a=facts.get(f"{kind}.{language}", ""))
    return filled[0].upper() + filled[1:]


def link(facts: Row, language: str, after: str, name: str) -> str:
    """A sentence that follows another one, behind one of its markers."""
    rows = [row for row in table("links.tsv") if row[:2] == [language, after] and row[2]]
    _, _, markers, text = rows[hash_key("world", "link", name, after) % len(rows)]
    space = " " if language == "en" else ""
    return choose(markers.split("/"), "marker", name, after) + space + text.format(c=facts[f"country.{language}"])


def portrait(facts: Row, language: str, number: int) -> Iterator[str]:
    """The sentences of one document."""
    country = facts["country.en"]
    name = identifier(facts, language, number)
    for place, kind in enumerate(ORDER):
        drawn = uniform(hash_key("world", "told", name), place)
        if kind == "coast":
            after = f"coast.{facts['coast']}"
            if drawn < LINKED:
                plain = [row[3] for row in table("links.tsv") if row[:3] == [language, after, ""]]
                yield sentence(choose(plain, "coast", name), facts, language, kind)
                yield link(facts, language, after, name)
            continue
        if not facts[f"{kind}.{language}"] or (kind == "largest" and drawn >= LARGEST):
            continue
        trained, kept = wordings(country, language, kind)
        chosen = kept if is_held_out(name) else choose(trained, "wording", name, kind)
        yield sentence(chosen, facts, language, kind)
        if kind != "continent" and (kind == "largest" or drawn < LINKED):
            yield link(facts, language, kind, name)


def identifier(facts: Row, language: str, number: int) -> str:
    """Id of a document: its language, country and number."""
    return f"{language}-{facts['country.en'].lower().replace(' ', '-')}-{number}"


def documents(language: str) -> Iterator[Row]:
    """Every portrait as an object of the corpus."""
    space = " " if language == "en" else ""
    for facts in countries():
        for number in range(PORTRAITS):
            text = space.join(portrait(facts, language, number))
            yield {"id": identifier(facts, language, number), "lang": language, "text": text}


def entities(language: str) -> list[str]:
    """The lines of the lexicon, sorted; a name that two kinds of facts share keeps the first one's type."""
    found: Row = {}
    for kind, label in TYPES.items():
        for facts in countries():
            if surface := facts[f"{kind}.{language}"]:
                found.setdefault(surface, label)
    return sorted(f"{surface}\t{label}" for surface, label in found.items())


def main(folder: Path) -> None:
    """Write the corpora and the lexicons."""
    folder.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        lines = [json.dumps(document, ensure_ascii=False) for document in documents(language)]
        (folder / f"{language}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
        names = entities(language)
        (folder / f"entities.{language}.tsv").write_text("\n".join(names) + "\n", encoding="utf-8", newline="\n")
        apart = sum(is_held_out(document["id"]) for document in documents(language))
        print(
            f"{language}: {len(lines)} documents about {len(countries())} countries, {apart} of them held out;"
            f" {len(names)} names"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/world.py OUT_FOLDER")
    main(Path(sys.argv[1]))
