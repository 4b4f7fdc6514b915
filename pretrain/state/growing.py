"""A tensor that is shorter than the parameter it belongs to: tables grow by rows when tasks join.

task table (2, D) of a checkpoint  ->  (3, D) of the next stage: the two rows as they were, the new one as initialised
its second moments (2, D)          ->  (3, D): the new row begins with the mean of the others
"""

from __future__ import annotations

import torch


def fitted(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """``value`` in the shape of ``like``; rows that it lacks are those of ``like``.

    Raises:
        ValueError: something else than the number of rows differs, or it has too many.
    """
    if value.shape == like.shape:
        return value
    if value.dim() == 0 or value.shape[1:] != like.shape[1:] or value.shape[0] > like.shape[0]:
        raise ValueError(
            f"a tensor of shape {tuple(value.shape)} does not fit a parameter of shape {tuple(like.shape)}"
        )
    grown = like.clone()
    grown[: value.shape[0]] = value
    return grown


def fitted_moment(value: torch.Tensor | None, shape: torch.Size, square: bool) -> torch.Tensor:
    """An Adam moment in ``shape``; zeros when there is none yet.

    A row that joins a table shares the table's step count, so Adam would not correct the bias of its empty second
    moment and its first updates would be up to 1.5 times too long (6.6 with betas .9/.999): it begins with the mean of
    the other rows instead.
    """
    if value is None:
        return torch.zeros(shape)
    if value.shape == shape:
        return value
    return fitted(value, value.mean(0).expand(shape).clone() if square else torch.zeros(shape))
