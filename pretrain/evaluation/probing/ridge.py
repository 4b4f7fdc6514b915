"""Linear classifiers of all layers at once, in closed form: ridge regression onto classes written as 0 and 1.

    Moments.add(states, classes)  ...  sums of products; states need not be kept
    Moments.solved(ridge)         ->   Weights: answers of every layer to new states

Columns are standardised, so one ridge means the same for every layer and model. There is nothing random, and no
setting of an optimiser.

Shape legend: L layers with the embeddings, M positions, D width, K classes (of several questions side by side).
"""

from __future__ import annotations

from typing import NamedTuple

import torch

RIDGES = (1e-4, 1e-2, 1.0)
"""What is tried, in units of the variance of a column."""


class Weights(NamedTuple):
    """A classifier for each layer."""

    mean_LD: torch.Tensor
    scale_LD: torch.Tensor
    weight_LDK: torch.Tensor
    share_K: torch.Tensor

    def scores(self, states_LMD: torch.Tensor) -> torch.Tensor:
        """(L, M, K); the largest of a question's classes is the answer."""
        standard_LMD = (states_LMD.double() - self.mean_LD[:, None]) / self.scale_LD[:, None]
        return standard_LMD @ self.weight_LDK + self.share_K


class Moments:
    """What a ridge regression must know of states and classes."""

    def __init__(self, layers: int, width: int, classes: int, device: torch.device) -> None:
        self.count = 0
        self.sum_LD, self.square_LDD, self.cross_LDK, self.class_K = (
            torch.zeros(shape, dtype=torch.float64, device=device)
            for shape in ((layers, width), (layers, width, width), (layers, width, classes), (classes,))
        )

    def add(self, states_LMD: torch.Tensor, class_MK: torch.Tensor) -> None:
        """More positions; a row of ``class_MK`` is 1 at the class of each question."""
        states_LMD, class_MK = states_LMD.double(), class_MK.double()
        self.count += states_LMD.shape[1]
        self.sum_LD += states_LMD.sum(1)
        self.square_LDD += states_LMD.mT @ states_LMD
        self.cross_LDK += states_LMD.mT @ class_MK
        self.class_K += class_MK.sum(0)

    def together(self, other: Moments) -> Moments:
        """Both."""
        layers, width, classes = self.cross_LDK.shape
        found = Moments(layers, width, classes, self.sum_LD.device)
        found.count = self.count + other.count
        for name in ("sum_LD", "square_LDD", "cross_LDK", "class_K"):
            setattr(found, name, getattr(self, name) + getattr(other, name))
        return found

    def solved(self, ridge: float) -> Weights:
        """The classifier of every layer; a column that does not vary is left out."""
        mean_LD, share_K = self.sum_LD / self.count, self.class_K / self.count
        covariance_LDD = self.square_LDD / self.count - mean_LD[:, :, None] * mean_LD[:, None, :]
        scale_LD = covariance_LDD.diagonal(dim1=1, dim2=2).clamp_min(0.0).sqrt()
        scale_LD = torch.where(scale_LD > 1e-9 * (1 + mean_LD.abs()), scale_LD, torch.inf)
        correlation_LDD = covariance_LDD / scale_LD[:, :, None] / scale_LD[:, None, :]
        cross_LDK = (self.cross_LDK / self.count - mean_LD[:, :, None] * share_K) / scale_LD[:, :, None]
        ridge_DD = ridge * torch.eye(mean_LD.shape[1], dtype=torch.float64, device=mean_LD.device)
        return Weights(mean_LD, scale_LD, torch.linalg.solve(correlation_LDD + ridge_DD, cross_LDK), share_K)
