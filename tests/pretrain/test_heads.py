"""The CRF against every sequence written out, and what BIO forbids."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from pretrain.evaluation.heads.bilstm_crf import BilstmCrf
from pretrain.evaluation.heads.crf import Crf, CrfModule, best, log_sum, padded, score, shut
from pretrain.evaluation.heads.linear import Linear
from pretrain.evaluation.readers.tags import bio
from pretrain.evaluation.tasks import Problem

COUNTS = [4, 1, 3]
TAGS = 3


@pytest.fixture(scope="module")
def drawn() -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(sum(COUNTS), TAGS, generator=generator, dtype=torch.float64)
    return logits, tuple(
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((3,), (3, 3), (3,))
    )  # type: ignore[return-value]


def slow(logits_LK: torch.Tensor, tags: tuple[int, ...], tables: tuple[torch.Tensor, ...]) -> float:
    """Score of one sequence, term by term."""
    start, following, end = tables
    value = float(start[tags[0]] + end[tags[-1]])
    value += sum(float(logits_LK[place, tag]) for place, tag in enumerate(tags))
    return value + sum(float(following[a, b]) for a, b in itertools.pairwise(tags))


def test_sums_scores_and_best_sequences_are_those_of_all_sequences(drawn) -> None:  # type: ignore[no-untyped-def]
    logits, tables = drawn
    lines, real = padded(logits, COUNTS)
    total, found = log_sum(lines, real, *tables), best(lines, real, *tables)
    for number, own in enumerate(torch.split(logits, COUNTS)):
        scores = {tags: slow(own, tags, tables) for tags in itertools.product(range(TAGS), repeat=len(own))}
        assert float(total[number]) == pytest.approx(np.logaddexp.reduce(list(scores.values())), abs=1e-9)
        winner = max(scores, key=lambda tags: scores[tags])
        assert tuple(found[number, : len(own)].tolist()) == winner
        target = torch.zeros(lines.shape[:2], dtype=torch.int64)
        target[number, : len(own)] = torch.tensor(winner)
        assert float(score(lines, target, real, *tables)[number]) == pytest.approx(scores[winner], abs=1e-9)


def test_what_bio_forbids_is_shut() -> None:
    tags = bio(["A", "B"])
    first, following = shut(tags)
    allowed = {(a, b) for i, a in enumerate(tags) for j, b in enumerate(tags) if following[i, j] == 0}
    assert {b for a, b in allowed if a == "B-A"} == {"O", "B-A", "I-A", "B-B"}
    assert {a for a, b in allowed if b == "I-B"} == {"B-B", "I-B"}
    assert [tag for tag, value in zip(tags, first, strict=True) if value == 0] == ["O", "B-A", "B-B"]
    module = CrfModule(4, tags, 0.0)
    logits = torch.zeros(5, 5)
    logits[:, tags.index("I-A")] = 9.0
    said = [tags[number] for number in module.answers(logits, [3, 2]).argmax(1)]
    assert said == ["B-A", "I-A", "I-A", "B-A", "I-A"]


class Tags(Problem):
    classes, outputs = bio(["A"]), 3

    samples = outcomes = None  # type: ignore[assignment]


@pytest.mark.parametrize("head", [Linear(), Crf(), BilstmCrf(size=8)], ids=lambda head: type(head).__name__)
def test_every_head_learns_and_treats_samples_apart(head) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    module = head.build(8, Tags(), 0.0)
    states, target = torch.randn(7, 8), torch.tensor([1, 2, 0, 0, 1, 2, 2])
    alone = torch.cat([module(states[:4], [4]), module(states[4:], [3])])
    torch.testing.assert_close(module(states, [4, 3]), alone)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        loss = module.loss(Tags(), module(states, [4, 3]), target, [4, 3])
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    assert module.answers(module(states, [4, 3]), [4, 3]).argmax(1).tolist() == target.tolist()
