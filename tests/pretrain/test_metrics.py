"""The metrics of evaluations against numbers worked by hand and slow formulas."""

from __future__ import annotations

from statistics import correlation

import numpy as np
import pytest

from pretrain.evaluation.metrics import COLUMNS, OF_SUMS, Floats, Outcome, by_class, confusion, macro_f1, pairs

RANDOM = np.random.default_rng(0)
GOLD, ANSWER = RANDOM.integers(0, 2, 60), RANDOM.integers(0, 2, 60)
CLASSES, SAID = RANDOM.integers(0, 4, 60), RANDOM.integers(0, 3, 60)
X, Y = RANDOM.integers(0, 6, 60).astype(float), RANDOM.normal(size=60).round(1)


def outcome(metric: str, rows: object) -> Outcome:
    return Outcome(metric=metric, rows=np.array(rows, np.float64))


@pytest.mark.parametrize(
    ("metric", "rows", "value"),
    [
        ("ratio", [(1, 1), (0, 1), (1, 1), (1, 1)], 0.75),
        ("ratio", [(3, 4), (1, 2)], 4 / 6),  # a row of several answers counts as so many
        ("exp_ratio", [(2.0, 1), (4.0, 2)], np.exp(2.0)),
        ("f1", [(1, 0, 0), (0, 1, 0), (1, 0, 1)], 2 * 2 / (2 * 2 + 1 + 1)),
        ("f1", [(0, 0, 1)], 0.0),
        ("matthews", [(6, 3, 1, 2)], (6 * 3 - 1 * 2) / np.sqrt((6 + 1) * (6 + 2) * (3 + 1) * (3 + 2))),
        ("matthews", [(0, 5, 0, 3)], 0.0),  # everything was called 0
        ("pearson", pairs(np.array([1.0, 2, 3]), np.array([2.0, 4, 6])), 1.0),
        ("spearman", [(1, 10), (2, 100), (3, 1000)], 1.0),
        ("spearman", [(1, 1), (1, 2), (2, 3)], np.sqrt(0.75)),  # ranks 1.5 1.5 3 and 1 2 3
    ],
)
def test_a_figure_is_what_one_gets_by_hand(metric: str, rows: object, value: float) -> None:
    assert outcome(metric, rows).value == pytest.approx(value, abs=1e-12)


def test_the_mean_f1_leaves_out_classes_that_nobody_named() -> None:
    rows = by_class(np.array([0, 0, 1]), np.array([0, 1, 1]), 4)
    assert outcome("macro_f1", rows).value == pytest.approx((2 / 3 + 2 / 3) / 2)


@pytest.mark.parametrize("metric", ["ratio", "exp_ratio", "f1", "pearson", "spearman"])
def test_a_figure_of_nothing_is_not_defined(metric: str) -> None:
    assert np.isnan(outcome(metric, np.zeros((3, COLUMNS[metric]))).value)


@pytest.mark.parametrize("constant", [0.1, 1e6 / 3])
def test_a_correlation_with_a_constant_is_not_defined_whatever_rounding_leaves(constant: float) -> None:
    """As of a model that gives every pair the same score."""
    assert np.isnan(outcome("pearson", pairs(np.full(1000, constant), RANDOM.normal(size=1000))).value)
    assert np.isnan(outcome("spearman", np.stack([np.full(50, constant), RANDOM.normal(size=50)], 1)).value)


def slow_f1(wanted: int) -> float:
    """Of one class, by counting."""
    both = sum(gold == said == wanted for gold, said in zip(CLASSES, SAID, strict=True))
    precision, recall = both / max(sum(wanted == SAID), 1), both / max(sum(wanted == CLASSES), 1)
    return 2 * precision * recall / (precision + recall) if both else 0.0


def slow_ranks(values: Floats) -> list[float]:
    """1 for the least; equal ones share the mean of their places."""
    return [np.sum(values < value) + (np.sum(values == value) + 1) / 2 for value in values]


def test_figures_of_random_answers_are_those_of_slow_formulas() -> None:
    f1 = [slow_f1(number) for number in range(4)]
    assert outcome("macro_f1", by_class(CLASSES, SAID, 5)).value == pytest.approx(np.mean(f1))
    columns = [(CLASSES == 1) & (SAID == 1), (CLASSES != 1) & (SAID == 1), (CLASSES == 1) & (SAID != 1)]
    assert outcome("f1", np.stack(columns, 1)).value == pytest.approx(f1[1])
    assert outcome("matthews", confusion(GOLD, ANSWER)).value == pytest.approx(correlation(GOLD, ANSWER))  # what it is
    assert outcome("pearson", pairs(X, Y)).value == pytest.approx(correlation(X, Y))
    ranked = correlation(slow_ranks(X), slow_ranks(Y))
    assert outcome("spearman", np.stack([X, Y], 1)).value == pytest.approx(ranked)


def rows_of(metric: str) -> Floats:
    rows: dict[str, Floats] = {
        "matthews": confusion(GOLD, ANSWER),
        "macro_f1": by_class(CLASSES, SAID, 4),
        "pearson": pairs(X, Y),
        "spearman": np.stack([X, Y], 1),
    }
    return rows.get(metric, np.abs(RANDOM.normal(size=(60, COLUMNS.get(metric, 0)))))


@pytest.mark.parametrize("metric", [*OF_SUMS, "spearman"])
def test_a_draw_gives_what_its_examples_written_out_give(metric: str) -> None:
    rows, counts_RN = rows_of(metric), RANDOM.multinomial(60, np.full(60, 1 / 60), 5)
    drawn = outcome(metric, rows).drawn(counts_RN.astype(np.float64))
    slow = [outcome(metric, np.repeat(rows, count_N, axis=0)).value for count_N in counts_RN]
    assert drawn == pytest.approx(slow, abs=1e-9)


def test_classes_that_a_draw_leaves_out_are_no_part_of_its_mean() -> None:
    assert macro_f1(np.array([[1.0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 1, 0]])).tolist() == [1.0, 0.5]
    assert np.isnan(macro_f1(np.zeros(6)))


@pytest.mark.parametrize(
    ("metric", "shape", "said"), [("accuracy", (2, 2), "'accuracy' is not one of"), ("f1", (4, 2), r"\(N, 3\)")]
)
def test_an_outcome_of_another_shape_is_refused(metric: str, shape: tuple[int, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Outcome(metric=metric, rows=np.zeros(shape))
