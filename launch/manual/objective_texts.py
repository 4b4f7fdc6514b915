"""The paragraphs of docs/objectives.md that are written by hand; a backslash joins two lines into one of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Place(NamedTuple):
    """What a reader should know of a kind that its code does not say."""

    level: str
    """What it is aware of."""
    needs: str = "running text"
    """Data in words."""
    folders: tuple[str, ...] = ("text",)
    """Which of the page's folders its example reads."""
    settings: Mapping[str, Any] = {}
    """Settings of its example."""
    masking: Mapping[str, Any] = {}
    """What it needs under `masking`."""


WORD, STRUCTURE, SEMANTIC = "word", "structure", "semantic"
PLACES: Mapping[str, Place] = {
    "knowledge_masking": Place(WORD),
    "capitalization": Place(WORD, "running text with letters that have case, an uncased vocabulary"),
    "token_document": Place(WORD, "documents longer than a sample", settings={"frequent": 5}),
    "sentence_reordering": Place(STRUCTURE),
    "sentence_distance": Place(STRUCTURE, "documents of four sentences, several of a source in a shard"),
    "discourse_relation": Place(SEMANTIC, "pairs joined by a marker: `discourse` of the preparation, or `kind: pairs`"),
    "search_relevance": Place(SEMANTIC, "`kind: search_log`, or graded `kind: pairs`", ("searches_en", "searches_zh")),
    "span_boundary": Place("span"),
    "replaced_token_detection": Place("token"),
    "token_order": Place("word order", "running text, and `masking.shuffle`", masking={"shuffle": {"share": 0.2}}),
    "token_classification": Place("token, supervised", "units of a level: `kind: annotated_jsonl`, `conll`, lexicons"),
    "next_sentence": Place("sentence", "documents of three sentences, several of a source in a shard"),
    "sentence_order": Place("sentence order", "documents of three sentences"),
    "sentence_structure": Place("sentence order", "documents of three sentences, several of a source in a shard"),
    "quick_thoughts": Place("sentence", "documents of three sentences"),
    "dialogue": Place("dialogue", "`kind: dialogues`", ("dialogues_en", "dialogues_zh")),
    "pair_classification": Place("sentence, supervised", "`kind: pairs`", ("pairs",)),
    "prefix_lm": Place("generation"),
    "universal_triples": Place("knowledge", "`kind: triples`", ("triples",)),
}

OPENING = """# Objectives

Written by `kmask config reference objectives`; edit the docstrings, not this page. Examples are computed from small \
texts written for it.

An objective is one thing to predict: how its inputs are built, what is asked of them, a head, and a loss. It is one \
file in `pretrain/objectives/`, and
its name there is its `kind`. A run gives each objective a name under `tasks`, and each stage says which tasks it \
trains:

```yaml
tasks:
  knowledge_masking: {kind: knowledge_masking}
  span_boundary: {kind: span_boundary, weight: 0.5}
  distance: {kind: sentence_distance, folders: [wiki]}
stages:
  - {name: words, steps: 20_000, tasks: {knowledge_masking: 1, span_boundary: 0}}
  - {name: distance, steps: 20_000, tasks: {knowledge_masking: 3, span_boundary: 0, distance: {iterations: 5_000}}}
```

## How an objective takes part

Four flags of its class say it; the table below and each section tell them:

- **builds rows** (`BUILDS_ROWS`): a share of the rows of a stage, or so many `iterations` or `tokens`, is built of \
its own kind of samples. One that does
  not, or that has the share 0, rides on the rows of others. A task with a task id must have rows of its own.
- **task id** (`HAS_TASK_ID`): all tokens of its rows carry an id of their own, to which a row of the task table \
belongs (ERNIE 2.0's task embedding).
  Others share the id 0, the one that fine-tuning sees.
- **trains the pooler** (`TRAINS_POOLER`): its loss reads the pooled state of [CLS]. In stages without such a task \
the pooler rests.
- **reads hidden tokens** (`READS_HIDDEN`): what it asks hangs on tokens being hidden or shuffled. In stages without \
such a task none are.

**One input for several tasks.** Every sample may serve every task that finds something to ask in it: a row of \
sentence distance also has hidden tokens,
capitals and recurring words, and their losses are summed, each divided by its own number of targets in the whole \
step (ERNIE 2.0 sums them so). A
sample has one sentence-level question at most: that of the task that built it. `hide: false` keeps a task's rows \
whole.

**What cannot be asked** is not dropped. A document too short for a task (one sentence, no other document, no triple) \
is a sample without a question:
tasks that hide tokens learn from it, its own task does not count it. `kmask show task` tells how many there are.

**Figures.** `metrics.jsonl` has `loss/TASK`, `accuracy/TASK` and `targets/TASK`, the same of its groups as \
`loss/TASK/GROUP`, and in evaluations
`majority/TASK`, the share of the most frequent class: an accuracy means something above that. `kmask report RUN` \
draws them for every task and stage.

**Keys.** Every objective has two, and most have some of their own:

{keys}
**Looking at a task.** `kmask show task NAME run.yaml` draws inputs of your own data, counts classes, and fits a \
logistic regression to all that can be
known without reading.

In the table, the levels word, structure and semantic are those of ERNIE 2.0's word-aware, structure-aware and \
semantic-aware tasks; other papers
have no such levels, and there it says what is asked about.
"""

EXAMPLES = """The inputs below were built by the code from the page's texts, an English and a Chinese one, of \
different classes where the class is one of the sample.
Each block has a column for a token:

- `input`: what the model sees; `__` is [MASK], and a hidden token may be replaced by another one, or kept
- `segment`: segment ids
- `hidden`: what stands where tokens are hidden, for the tasks that predict it; only where it is not the task's own \
question
- `predict` or `class`: what the task asks of a token: which token it is, or its class; a token without an entry is \
not asked

The class of a whole sample stands below its block. In these texts a word of more than eight letters is two tokens, \
and samples have at most 32 tokens,
48 where the question is about sentences.
"""

LEAKS = """## Leaks: can a task be answered without reading?

A task whose answer shows in lengths, places or sources teaches these. How the inputs avoid it:

- **pairs of sentences**: every place that any class would need is drawn before the class, by one law, with one \
budget of tokens for both pieces. A window
  that lacks one of these places is not asked, whatever its class would have been. The other document is of the same \
shard, source and language. The first
  sentence of a document, often its title, is in no piece.
- **drawn titles and turns**: at most two tokens longer or shorter than what they replace, of the same role; a pair \
without such a replacement is not asked.
  They may be of another language: give each language a folder of its own, as the examples do, or the language tells \
the answer.
- **reordering**: [SEP] shows how many segments there are, so only the orders of that number compete; a window of one \
sentence is not asked.
- **capitalization**: the vocabulary must be uncased, and first words of sentences are not asked.
- **token-document relation**: the most frequent words, whose answer hardly changes, are not asked.
- **replaced tokens**: the detector never sees [MASK].
- **prefix language model**: no position sees what it predicts, tested by changing every later token.

What is left is measured, not argued: `kmask show task NAME run.yaml` fits a logistic regression to lengths, \
positions, sources, form and overlap of words on
your training documents, and tells its accuracy on held-out ones beside the most frequent class. Measured figures on \
real corpora stand in
`benchmarks/RESULTS.md`. The texts of this page are far too few for such a figure. Overlap of words is part of some \
questions (relevance, distance): a
baseline above the majority there is no fault, but the least that a trained model must beat.
"""

LEFT_OUT = """## What is left out

- **Permutation language modelling** (XLNet) as its paper has it needs two streams of attention in every layer, one \
that sees the content of a position and
  one that does not. That is a model of its own, not an encoder that plain `transformers` loads as BERT or ERNIE. \
`prefix_lm` with `tokens: next` is the
  left-to-right prediction that one stream allows.
- **Distant supervision of triples**: `universal_triples` takes triples that came with their sentences. Matching a \
knowledge base with text is a project of
  its own with errors of its own; whoever did it gives its result as `kind: triples`.
"""

OWN = """## An objective of your own

One Python file anywhere on the path (the current folder is) holds one frozen, keyword-only dataclass, and `kind` \
names it with a dot:
`kind: my_tasks.has_digit` is `my_tasks/has_digit.py`. Its fields are its settings in YAML. This is \
`examples/my_tasks/has_digit.py`, complete; a test trains it.

{code}

Step by step:

1. **Flags and classes.** It builds rows, has a task id and reads the pooled [CLS]. With `classes` and `class_names`, \
evaluations tell the majority and
   `kmask show task digits run.yaml` names the classes and measures leaks.
2. **`bind`** sees its prepared folders before training starts. What it learns goes into a field, which checkpoints \
keep; what makes no sense is a ValueError
   that says what to do.
3. **`build`** makes a sample, or several, of a window. Whatever is random in it is drawn from `key` \
(`masking/keyed.py`), never from a global generator: the
   same sample is then the same in any batch, process and resumed run. A sample without its label is not asked. \
Special tokens beyond two must be told by
   `special_tokens`; what else is read (whole documents, labelled pairs, another split) by `feed`.
4. **`targets`** finds in a packed, masked batch what is asked: int64 arrays for `loss`, and how many there are. \
Names as `sample`, `position` and `label` are
   what views draw.
5. **`head`** and **`loss`** are torch. `loss` gives every target its loss; sums and means are taken outside, over \
all processes. It must touch every
   parameter of the head when there is no target: `cross_entropy` over an empty selection does.

Subclasses of `SentencePrediction` and `TokenClassification` have the last two and `targets` already: of the former \
only `classes` and `build` are left to
write, of the latter `classes` and `labels`. To put it into the project instead, move the file to \
`pretrain/objectives/has_digit.py`: it is then
`kind: has_digit`, and the contract test of the folder covers it.
"""
