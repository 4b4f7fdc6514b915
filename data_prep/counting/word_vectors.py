"""From how near words stand to a vector for each: shifted positive PMI, then a truncated singular value decomposition.

    Cells of 30,000 words  ->  attraction: PMI(提高, 水平) = 3.1 ...  ->  embed: float32[30000, 200], rows of unit
                                                                          length

The choices are those that Levy, Goldberg and Dagan (Improving distributional similarity with lessons learned from word
embeddings, TACL 2015) recommend for counted vectors: context counts to the power .75, and left singular vectors times
the square roots of the singular values. The decomposition is randomised (Halko, Martinsson and Tropp 2011) from a seed
of its own, and done in double precision: then the number of threads, which changes the order of sums, no longer shows
in the four digits of a table.

Shape legend: V words, C cells, N positive cells of both halves of the matrix, K dimensions.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.counting.word_contexts import Cells

OVERSAMPLING, POWER_ITERATIONS = 10, 2


class Attraction(NamedTuple):
    """A sparse V x V matrix by rows: word v attracts the contexts ``context_N[starts_V1[v] : starts_V1[v + 1]]``."""

    starts_V1: npt.NDArray[np.int64]
    context_N: npt.NDArray[np.int64]
    value_N: npt.NDArray[np.float64]


def attraction(cells: Cells, size: int, smoothing: float, shift: float) -> Attraction:
    """Shifted positive PMI of ``size`` words: log #(w, c) - log #(w) - log P(c) - shift, with P(c) proportional to #(c)
    ** smoothing."""
    row_C, column_C = np.divmod(cells.key_C, size)
    count_V = np.bincount(row_C, cells.count_C, size) + np.bincount(column_C, cells.count_C, size)
    smoothed_V = count_V**smoothing
    with np.errstate(divide="ignore", invalid="ignore"):
        log_word_V, log_context_V = np.log(count_V), np.log(smoothed_V / smoothed_V.sum())
    log_C = (
        np.log(np.where(row_C == column_C, 2 * cells.count_C, cells.count_C)) - shift
    )  # both halves meet on the diagonal
    halves = []
    for word_C, context_C, wanted_C in ((row_C, column_C, True), (column_C, row_C, row_C != column_C)):
        pmi_C = log_C - log_word_V[word_C] - log_context_V[context_C]
        kept_C = (pmi_C > 0) & wanted_C
        halves.append((word_C[kept_C].astype(np.min_scalar_type(size)), context_C[kept_C], pmi_C[kept_C]))
    word_N, context_N, value_N = (np.concatenate(column) for column in zip(*halves, strict=True))
    order_N = np.argsort(word_N, kind="stable")
    starts_V1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(word_N, minlength=size))])
    return Attraction(starts_V1, context_N[order_N], value_N[order_N])


def embed(attracted: Attraction, dimensions: int, seed: int) -> npt.NDArray[np.float32]:
    """float32[V, K]: a unit vector for each word; zeros for words that attract no other."""
    import torch

    starts_V1, context_N, value_N = attracted
    size = len(starts_V1) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that this layout is young
        matrix_VV = torch.sparse_csr_tensor(
            torch.from_numpy(starts_V1), torch.from_numpy(context_N), torch.from_numpy(value_N), size=(size, size)
        )
    vectors_VK = _singular(matrix_VV, min(dimensions, size), seed).numpy()
    vectors_VK[np.diff(starts_V1) == 0] = 0
    return np.asarray(vectors_VK / np.maximum(np.linalg.norm(vectors_VK, axis=1, keepdims=True), 1e-12), np.float32)


def _singular(matrix_VV: Any, dimensions: int, seed: int) -> Any:
    """Left singular vectors times the square roots of the singular values, the largest first."""
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        left_VK, values_K, _ = torch.svd_lowrank(
            matrix_VV, q=min(dimensions + OVERSAMPLING, len(matrix_VV)), niter=POWER_ITERATIONS
        )
    return (left_VK * values_K.sqrt())[:, :dimensions]
