"""Small Chinese and English texts, pairs, queries, dialogues and triples, prepared for docs/objectives.md.

    texts in this file  ->  JSON Lines in a temporary folder  ->  prepared folders  ->  Corpus of one task

Every word is a token, long ones are two; everything is prepared in this process, in a few seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.settings.components import decode
from launch.settings.kinds import find_kind
from launch.settings.yaml_files import Source

if TYPE_CHECKING:
    from data_prep.engines import Engine
    from pretrain.corpus import Corpus

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LONGEST_WORD = 8
"""Letters of a word that is one token."""

ENGLISH = (
    "The Rhine rises in the Alps. The young river crosses Lake Constance. Below the lake it passes Basel. Many ships "
    "carry coal from Basel to Rotterdam. However, the Rhine is low in dry summers. Then every ship carries half of its "
    "coal. Rotterdam lies where the river meets the sea.",
    "Marie Curie was born in Warsaw. Her parents were teachers. No university in Warsaw took women. Therefore Marie "
    "moved to Paris. In Paris she studied physics. With Pierre Curie she found polonium in 1898. They named it after "
    "Poland.",
    "A honey bee visits many flowers a day. It carries pollen from one flower to the next. Meanwhile it drinks nectar. "
    "In the hive the nectar becomes honey. Bees dance to tell where flowers grow. For example, a long dance means a "
    "long way. In winter the bees eat their honey.",
    "Vienna built a tram line in 1865. Horses pulled the first trams. Later electric motors replaced the horses. "
    "However, motors needed wires above the street. Today the trams of Vienna carry a million people. Moreover, "
    "they carry them at night.",
)
CHINESE = (
    "长江发源于青藏高原。上游穿过许多峡谷。到了宜昌，江面变宽。但是，夏天的洪水常常很大。人们在宜昌附近修了大坝。大坝既能防洪，也能发电。长江在上海流入东海。",
    "鲁迅生于绍兴。他年轻时到日本学医。后来他觉得文学更重要。因此，他回国写小说。一九二一年他发表了一篇小说。许多读者喜欢他的小说。鲁迅在上海去世。",
    "北京的冬天寒冷干燥。春天常常刮风。但是，秋天天气很好。许多游客秋天来北京。他们喜欢爬香山看红叶。香山的红叶十月最红。",
    "茶树喜欢温暖的山坡。春天的嫩芽最香。农民在清晨采茶。然后，他们用大锅炒茶。因此，山村里到处是茶香。杭州的龙井茶很有名。",
)
ENTITIES = {
    "PER": ("Marie Curie", "Pierre Curie", "鲁迅"),
    "LOC": (
        *("Rhine", "Alps", "Lake Constance", "Basel", "Rotterdam", "Warsaw", "Paris", "Poland", "Vienna"),
        *("长江", "青藏高原", "宜昌", "上海", "东海", "绍兴", "日本", "北京", "香山", "杭州"),
    ),
}
PAIRS = (
    ("How long is the Rhine?", "What is the length of the Rhine?", "same"),
    ("How long is the Rhine?", "How old is the city of Basel?", "different"),
    ("Where was Marie Curie born?", "In which city was Marie Curie born?", "same"),
    ("长江有多长？", "长江的长度是多少？", "same"),
    ("长江有多长？", "长江在哪里流入海？", "different"),
    ("鲁迅是哪里人？", "鲁迅写过什么小说？", "different"),
)
SEARCHES: tuple[tuple[str, tuple[tuple[str, bool], ...]], ...] = (
    ("source of the rhine", (("Where the Rhine rises", True), ("Hotels at the Rhine", False))),
    ("marie curie paris", (("Marie Curie studies physics", True), ("A map of Paris", False))),
    ("how bees dance", (("The dance of the bees", True), ("Honey from the hive", False))),
    ("长江发源地", (("长江源头在高原", True), ("长江游船票价", False))),
    ("鲁迅的小说", (("鲁迅小说全集", True), ("鲁迅纪念馆门票", False))),
    ("北京看红叶", (("香山红叶何时最红", True), ("北京秋天的天气", False))),
)
DIALOGUES = (
    ("Where do you live?", "I live in Basel.", "Is it far from here?", "No, an hour by train."),
    ("What did you study?", "I studied physics.", "Was it hard for you?", "Yes, but I liked it."),
    ("When does it start?", "At eight in the morning.", "Do we need a ticket?", "Yes, buy one here."),
    ("你多大了？", "我今年八岁。", "你家住在哪里？", "我家住在杭州。"),
    ("你喜欢喝茶吗？", "我喜欢龙井茶。", "你常去茶馆吗？", "周末常常去。"),
    ("周末你去哪里？", "我去爬香山。", "香山远不远？", "坐车一个小时。"),
)
TRIPLES = (
    ("Marie Curie was born in Warsaw and studied in Paris.", ("Marie Curie", "place of birth", "Warsaw")),
    ("The Rhine rises in the Alps and flows past Basel.", ("Rhine", "source", "Alps")),
    ("鲁迅生于绍兴，后来到日本学医。", ("鲁迅", "出生地", "绍兴")),
    ("The trams of Vienna carry a million people.", ("Vienna", "public transport", "trams")),
    ("长江在上海流入东海。", ("长江", "流入", "东海")),
    ("杭州的龙井茶很有名。", ("杭州", "特产", "龙井茶")),
    ("北京的香山红叶十月最红。", ("香山", "位于", "北京")),
)
SEARCH_LOG, DIALOGUE = {"kind": "search_log"}, {"kind": "dialogues", "roles": ["Q", "R"]}
CORPORA: Mapping[str, Mapping[str, Any]] = {
    "text": {"kind": "jsonl"},
    "pairs": {"kind": "pairs", "classes": ["different", "same"]},
    "searches_en": SEARCH_LOG,
    "searches_zh": SEARCH_LOG,
    "dialogues_en": DIALOGUE,
    "dialogues_zh": DIALOGUE,
    "triples": {"kind": "triples"},
}
"""Folders and the kind of their corpus. Titles and turns are drawn of other lines whatever their language, so these
have a folder for each."""


def language_of(text: str) -> str:
    """`zh` or `en`."""
    return "en" if text.isascii() else "zh"


def rows(folder: str) -> list[dict[str, Any]]:
    """The lines of a folder's file; `searches_en` has the English ones of the searches."""
    kind, _, wanted = folder.partition("_")
    found: dict[str, list[dict[str, Any]]] = {
        "text": [{"text": text} for text in (*ENGLISH, *CHINESE)],
        "pairs": [{"first": first, "second": second, "label": label} for first, second, label in PAIRS],
        "searches": [
            {"query": query, "titles": [{"title": title, "clicked": clicked} for title, clicked in titles]}
            for query, titles in SEARCHES
        ],
        "dialogues": [
            {"turns": [{"role": "QR"[place % 2], "text": turn} for place, turn in enumerate(turns)]}
            for turns in DIALOGUES
        ],
        "triples": [{"text": text, "triples": [list(triple)]} for text, triple in TRIPLES],
    }
    for number, row in enumerate(found[kind]):
        language = language_of(json.dumps(row, ensure_ascii=False))
        row |= {"id": f"{kind}-{language}-{number + 1}", "lang": language}
    return [row for row in found[kind] if wanted in ("", row["lang"])]


def vocabulary() -> list[str]:
    """Every character, and every word in small letters: one token, or two if it is long."""
    text = json.dumps([rows(folder) for folder in CORPORA], ensure_ascii=False).lower()
    found = dict.fromkeys(SPECIALS)
    for word in sorted(set(re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", text))):
        found |= dict.fromkeys([word] if len(word) <= LONGEST_WORD else [word[:4], f"##{word[4:]}"])
    return list(found)


def in_process() -> Engine:
    """An engine that does everything in this process."""
    from data_prep.engines import Engine

    @dataclass(frozen=True, kw_only=True)
    class InProcess(Engine):
        """Part after part."""

        def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
            return map(work, parts)

    return InProcess()


@dataclass(frozen=True)
class Examples:
    """All folders, prepared below a folder of their own."""

    base: Path

    @cached_property
    def tokenizer(self) -> Path:
        """The folder of the vocabulary."""
        folder = self.base / "tokenizer"
        folder.mkdir(parents=True)
        (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
        names = [f"{name}\t{kind}" for kind, listed in ENTITIES.items() for name in listed]
        (self.base / "entities.tsv").write_text("\n".join(names) + "\n", encoding="utf-8")
        return folder

    def folder(self, name: str) -> Path:
        """A prepared folder; made on first use."""
        from data_prep.preparing.pipeline import prepare
        from data_prep.preparing.plan import Preparation

        target = self.base / name
        if target.exists():
            return target
        vocabulary = str(self.tokenizer)
        file = self.base / f"{name}.jsonl"
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows(name)]
        file.write_text("".join(lines), encoding="utf-8")
        settings: dict[str, Any] = {
            "output": str(target),
            "corpora": [{**CORPORA[name], "paths": [str(file)]}],
            "annotators": [{"kind": "lexicon", "level": "entity", "paths": [str(self.base / "entities.tsv")]}],
            "vocabulary": {"path": vocabulary},
            "heldout": 0,
            **({"discourse": {"label": "sense", "min_words": 2}} if name == "text" else {}),
        }
        plan: Any = decode(Preparation, Source(settings, {}))
        prepare(replace(plan, engine=in_process()), lambda progress: None)
        return target

    def corpus(self, task: Mapping[str, Any], folders: Sequence[str], masking: Mapping[str, Any], size: int) -> Corpus:
        """The folders as they are read for the task ``example``, in samples of so many tokens.

        Args:
            masking: settings beside the strategy.
        """
        from pretrain.config import Run
        from pretrain.corpus import Corpus
        from pretrain.objectives import Objective

        share = int(getattr(find_kind(Objective, task["kind"]), "BUILDS_ROWS", False))
        settings: dict[str, Any] = {
            "output": str(self.base / "run"),
            "data": [{"path": str(self.folder(name)), "name": name} for name in folders],
            "model": {"layers": 1, "hidden": 32, "heads": 2, "max_positions": size},
            "masking": {"strategy": {"kind": "whole_unit", "units": ["entity", "word"]}, **masking},
            "tasks": {"knowledge_masking": {"kind": "knowledge_masking"}, "example": dict(task)},
            "stages": [{"name": "one", "steps": 1, "tasks": {"knowledge_masking": 1, "example": share}}],
            "batch": {"max_sample_tokens": size, "row_tokens": 8 * size, "rows_per_step": 1},
            "evaluation": {"every": 0},
        }
        return Corpus(run=decode(Run, Source(settings, {})))
