"""One input of a task, drawn as docs/objectives.md shows it.

    rows of the task  ->  its most telling sample of each language  ->  lines

    input      [CLS] the rhine rises in __ alps . [SEP]      what the model sees; `__` is [MASK]
    segment      0    0    0     0    0  0   0  0   0
    hidden                            the                    what stands where tokens are hidden
    predict                           the                    tokens that the task predicts, or
    class                                                    the class of each token that it asks

What is drawn hangs on the names of the task's targets (``position``, ``label``, ``left``, ``candidate``, ``real``), so
that an objective that names its targets like these needs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pretrain.corpus import Corpus
    from pretrain.feed.packed import Packed

TASK = "example"
WIDTH = 112
"""Cells of a line."""
LOOKED_AT = 200
"""Samples of which examples are chosen."""
Column = dict[int, str]


class Drawable(NamedTuple):
    """A sample of a batch that the task asks."""

    packed: Packed
    targets: Mapping[str, Any]
    number: int

    @property
    def first(self) -> int:
        """Where it begins in the batch."""
        return int(self.packed.sample_start_S[self.number])

    @property
    def length(self) -> int:
        """Its tokens."""
        return int(self.packed.samples.length_S[self.number])

    @property
    def language(self) -> str:
        """Of its document."""
        text = self.packed.samples[self.number].text
        return text.shard.text_of("language", text.document) if text else ""

    def mine(self, name: str) -> list[int]:
        """Numbers of the targets whose position or sample is this one's."""
        values = self.targets[name].tolist()
        if name == "sample":
            return [index for index, value in enumerate(values) if value == self.number]
        return [index for index, value in enumerate(values) if self.first <= value < self.first + self.length]


def drawn_inputs(corpus: Corpus) -> Iterator[list[str]]:
    """An English sample, and a Chinese one if there is any, of another class where classes are of samples."""
    objective, tokens = corpus.objectives[TASK], corpus.tokenizer.tokens
    found = list(candidates(corpus))
    shown: list[int] = []
    for language in ("en", "zh"):
        here = [sample for sample in found if sample.language == language]
        if here:
            best = max(here, key=lambda sample: worth(sample, shown))
            shown.append(answer(best))
            yield lines(best, objective, tokens)


def candidates(corpus: Corpus) -> Iterator[Drawable]:
    """Samples with a target, in the order of training."""
    from pretrain.leaks.trial import batches

    maker = corpus.trial(TASK, "train")
    for packed in batches(maker, LOOKED_AT):
        targets, _ = maker.objectives[TASK].targets(packed, TASK)
        for number in range(len(packed.samples)):
            sample = Drawable(packed, targets, number)
            if sample.mine(place_name(targets)):
                yield sample


def place_name(targets: Mapping[str, Any]) -> str:
    """Which of the targets says where they are."""
    return next(name for name in ("position", "sample", "left") if name in targets)


def answer(sample: Drawable) -> int:
    """The class of a sample, the kind or group of the first of its tokens, or -1 where targets have none."""
    name = next((name for name in ("kind", "group") if name in sample.targets), "")
    if "sample" in sample.targets:
        return int(sample.targets["label"][sample.mine("sample")[0]])
    return int(sample.targets[name][sample.mine(place_name(sample.targets))[0]]) if name else -1


def worth(sample: Drawable, shown: Sequence[int]) -> tuple[int, int, int]:
    """Larger is more telling: another class, different labels and groups, something hidden; then a short sample."""
    name = place_name(sample.targets)
    chosen = sample.mine(name)
    told = {
        (key, int(sample.targets[key][index]))
        for key in ("label", "group", "kind")
        if key in sample.targets
        for index in chosen
    }
    hidden = [p for p in sample.packed.hidden.position_M.tolist() if sample.first <= p < sample.first + sample.length]
    return (
        int(answer(sample) < 0 or answer(sample) not in shown),
        min(len(told), 4) + min(len(hidden), 2),
        -sample.length,
    )


def lines(sample: Drawable, objective: Any, tokens: Sequence[str]) -> list[str]:
    """The drawing of one sample."""
    rows = {"input": seen(sample, tokens), "segment": segments(sample), **asked(sample, objective, tokens)}
    hidden = original(sample, sample.packed.hidden.position_M.tolist(), tokens)
    if hidden and hidden != rows.get("predict"):
        rows = {"input": rows.pop("input"), "segment": rows.pop("segment"), "hidden": hidden, **rows}
    return [*table(rows, sample.length), *below(sample, objective, tokens)]


def seen(sample: Drawable, tokens: Sequence[str]) -> Column:
    """What the model sees."""
    ids = sample.packed.corrupted_T[sample.first : sample.first + sample.length].tolist()
    return {place: "__" if tokens[token] == "[MASK]" else tokens[token] for place, token in enumerate(ids)}


def segments(sample: Drawable) -> Column:
    """Segment ids."""
    return {
        place: str(value) for place, value in enumerate(sample.packed.samples[sample.number].segment_ids_T.tolist())
    }


def original(sample: Drawable, positions: Sequence[int], tokens: Sequence[str]) -> Column:
    """What the text has at these positions of the batch, of those that are the sample's."""
    inside = (place for place in positions if sample.first <= place < sample.first + sample.length)
    return {place - sample.first: tokens[int(sample.packed.original_T[place])] for place in inside}


def asked(sample: Drawable, objective: Any, tokens: Sequence[str]) -> dict[str, Column]:
    """What the task asks of tokens."""
    targets, first = sample.targets, sample.first
    if "real" in targets:
        return judged(sample, tokens)
    if "left" in targets:
        chosen = sample.mine("left")
        places = [int(targets["left"][index] + targets["offset"][index]) for index in chosen]
        return {"predict": original(sample, places, tokens)}
    if "position" not in targets:
        return {}
    names = objective.class_names or tokens
    found = {int(targets["position"][i]) - first: names[int(targets["label"][i])] for i in sample.mine("position")}
    return {"class" if objective.classes else "predict": found}


def judged(sample: Drawable, tokens: Sequence[str]) -> dict[str, Column]:
    """Replaced-token detection: a keyed draw among the tokens of the sample stands for the generator's."""
    from masking.keyed import hash_key, mix

    targets, first = sample.targets, sample.first
    place = sample.mine("position")
    text = sorted({int(t) for t in sample.packed.original_T[first : first + sample.length]} - special(tokens))
    drawn = {
        int(targets["position"][index]) - first: text[mix(hash_key("docs/objectives.md", index)) % len(text)]
        for index in place
    }
    right = {int(targets["position"][index]) - first: int(targets["label"][index]) for index in place}
    real = [p - first for p in targets["real"].tolist() if first <= p < first + sample.length]
    classes = {p: "replaced" if p in drawn and drawn[p] != right[p] else "original" for p in real}
    return {
        "predict": {p: tokens[token] for p, token in right.items()},
        "drawn": {p: tokens[token] for p, token in drawn.items()},
        "class": classes,
    }


def special(tokens: Sequence[str]) -> set[int]:
    """Ids of special tokens."""
    return {index for index, token in enumerate(tokens) if token.startswith("[") and token.endswith("]")}


def below(sample: Drawable, objective: Any, tokens: Sequence[str]) -> Iterator[str]:
    """What is said of the sample as a whole."""
    targets = sample.targets
    if "left" in targets:
        for index in sample.mine("left"):
            left, right, offset = (int(targets[name][index]) for name in ("left", "right", "offset"))
            ids = sample.packed.corrupted_T
            names = (
                tokens[int(sample.packed.original_T[left + offset])],
                tokens[int(ids[left])],
                tokens[int(ids[right])],
            )
            yield "{}   from the states of `{}` and `{}`".format(*names) + f", place {offset}"
    if "prefix" in targets:
        prefix = int(targets["prefix"][sample.number])
        yield f"the first {prefix} tokens are read in both directions, each of the others to its left"
    if "sample" in targets:
        (index,) = sample.mine("sample")
        label = int(targets["label"][index])
        if "candidate" in targets:
            for place, number in enumerate(targets["candidate"][index].tolist()):
                other = sample._replace(number=number)
                yield f"candidate {place}: {' '.join(seen(other, tokens).values())}"
        name = objective.class_names[label]
        yield f"class {label} of {objective.classes}" + (f": {name}" if name != str(label) else "")


def table(rows: Mapping[str, Column], length: int) -> Iterator[str]:
    """Columns under each other, in as many blocks as the width of a line needs."""
    from rich.cells import cell_len

    width = [max(cell_len(row.get(place, "")) for row in rows.values()) for place in range(length)]
    margin = max(map(len, rows)) + 2
    start = 0
    while start < length:
        end, total = start, margin
        while end < length and total + width[end] + 1 <= WIDTH:
            total += width[end] + 1
            end += 1
        for name, row in rows.items():
            text = f"{name:{margin}s}"
            for place in range(start, end):
                cell = row.get(place, "")
                text += cell + " " * (width[place] + 1 - cell_len(cell))
            if name in ("input", "segment") or any(place in row for place in range(start, end)):
                yield text.rstrip()
        start = end
        if start < length:
            yield ""
