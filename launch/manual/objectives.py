"""docs/objectives.md: every objective with its paper, keys and inputs of real text, all taken from the code.

    kmask config reference objectives > docs/objectives.md        (a test compares the page with this output)

Stories come from module docstrings, keys from field docstrings, inputs from really building samples of small texts.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.manual.masking import docstring_lines, inline_yaml
from launch.manual.objective_corpora import Examples
from launch.manual.objective_examples import TASK, drawn_inputs
from launch.manual.objective_texts import EXAMPLES, LEAKS, LEFT_OUT, OPENING, OWN, PLACES, Place
from launch.manual.reference import component, keys
from launch.settings.kinds import find_kind, kinds

if TYPE_CHECKING:
    from pretrain.corpus import Corpus

OWN_FILE = Path(__file__).resolve().parents[2] / "examples" / "my_tasks" / "has_digit.py"
PAPER = re.compile(r"\(([^()]*\b(?:19|20)\d\d\b[^()]*)\)")
TOKENS, SENTENCE_TOKENS = 32, 48
"""Tokens of samples; of those that are asked about as a whole."""


def objectives_reference() -> str:
    """The page."""
    from pretrain.objectives import Objective

    names = in_order(kinds(Objective))
    with tempfile.TemporaryDirectory(prefix="kmask-objectives-") as folder:
        examples = Examples(Path(folder))
        corpora = {name: corpus_of(examples, name) for name in names}
        sections = [line for name in names for line in section(name, corpora[name])]
    lines = [
        *OPENING.replace("{keys}", "\n".join(keys(Objective))).splitlines(),
        "",
        *overview_table(corpora),
        "",
        '<a id="objective"></a>',
        "",
        "## The objectives",
        "",
        *EXAMPLES.splitlines(),
        "",
        *sections,
        *OWN.replace("{code}", own_code()).splitlines(),
        "",
        *LEAKS.splitlines(),
        "",
        *LEFT_OUT.splitlines(),
    ]
    return "\n".join(lines).rstrip() + "\n"


def in_order(names: list[str]) -> list[str]:
    """As PLACES lists them, those that it lacks behind."""
    listed = [name for name in PLACES if name in names]
    return listed + [name for name in names if name not in listed]


def place_of(name: str) -> Place:
    """What a reader should know of a kind."""
    return PLACES.get(name, Place("other"))


def corpus_of(examples: Examples, name: str) -> Corpus:
    """The data of the example, read for the task."""
    from pretrain.objectives import Objective

    cls, place = find_kind(Objective, name), place_of(name)
    size = SENTENCE_TOKENS if getattr(cls, "TRAINS_POOLER", False) else TOKENS
    return examples.corpus({"kind": name, **place.settings}, place.folders, place.masking, size)


def overview_table(corpora: Mapping[str, Corpus]) -> Iterator[str]:
    """The objectives as a table."""
    yield "| kind | level | what is asked | classes | data | paper |"
    yield "|---|---|---|---|---|---|"
    for name, corpus in corpora.items():
        task, place = corpus.objectives[TASK], place_of(name)
        what = " ".join((inspect.getdoc(type(task)) or "").split("\n\n")[0].split()).replace("``", "`")
        cells = (f"[`{name}`](#{name})", place.level, what, class_count(task), place.needs, paper_of(task))
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def class_count(task: Any) -> str:
    """How many classes it has."""
    if task.means:
        return "the vocabulary, and 2"
    if not task.classes:
        return "the vocabulary"
    return str(task.classes) if type(task)().classes == task.classes else "those of its folders"


def paper_of(task: Any) -> str:
    """The first parenthesis of its file's story that has a year."""
    found = PAPER.search(" ".join(docstring_lines(type(task).__module__)))
    return found[1].rstrip(". ") if found else "none: a task of your own"


def section(name: str, corpus: Corpus) -> Iterator[str]:
    """One objective."""
    task, place = corpus.objectives[TASK], place_of(name)
    yield from (f"### {name}", "", *docstring_lines(type(task).__module__), "")
    for drawing in drawn_inputs(corpus):
        yield from ("```", *drawing, "```", "")
    yield from (f"- takes part: {', '.join(flags(task))}", f"- data: {place.needs}")
    if task.classes:
        yield f"- classes{' in the example' * (class_count(task) != str(task.classes))}: {', '.join(task.class_names)}"
    if task.groups:
        yield f"- groups of its figures: {', '.join(task.groups)}"
    yield from ("", *own_keys(type(task)))
    for found in dict.fromkeys(component(type(task))[1]):
        yield from component(found, "####")[0]
    yield from ("```yaml", *example_yaml(name, task, place), "```", "")


def flags(task: Any) -> Iterator[str]:
    """How it takes part."""
    yield "builds rows" if task.BUILDS_ROWS else "rides on the rows of others"
    yield "task id of its own" if task.HAS_TASK_ID else "task id 0"
    if task.TRAINS_POOLER:
        yield "trains the pooler"
    if task.READS_HIDDEN:
        yield "reads hidden tokens"
    feed = task.feed()
    yield f"split `{feed.split}`" + (", whole documents" if feed.whole else "")


def own_keys(cls: type) -> list[str]:
    """The keys that it has beside those that all have."""
    from pretrain.objectives import Objective

    shared = keys(Objective)[2:-1]
    lines = [line for line in keys(cls) if line not in shared]
    return lines if len(lines) > 3 else ["No keys of its own.", ""]


def example_yaml(name: str, task: Any, place: Place) -> Iterator[str]:
    """The task beside knowledge masking."""
    beside = {"knowledge_masking": {"kind": "knowledge_masking"}}
    if place.masking:
        yield from ("masking:", *(f"  {key}: {inline_yaml(value)}" for key, value in place.masking.items()))
    yield "tasks:"
    tasks = beside | {name: {"kind": name, "folders": list(place.folders)}}
    yield from (f"  {key}: {inline_yaml(value)}" for key, value in tasks.items())
    shares = {"knowledge_masking": 1, name: int(task.BUILDS_ROWS)}
    yield from ("stages:", f"  - {inline_yaml({'name': 'one', 'steps': 1000, 'tasks': shares})}")


def own_code() -> str:
    """The example of a task of one's own."""
    if not OWN_FILE.is_file():
        return "(see it in the repository)"
    return f"```python\n{OWN_FILE.read_text(encoding='utf-8').rstrip()}\n```"
