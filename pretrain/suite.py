"""What `kmask eval SUITE.yaml` is told: models, measures, and where results go."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pretrain.evaluation.measures import Measure

NAME = re.compile(r"(?!\.)[\w.+-]+")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """An evaluation of one or several models. Results are kept piece by piece; run again, it goes on."""

    output: str
    """Folder of the results: OUTPUT/MODEL/MEASURE/PIECE.json."""
    models: dict[str, str]
    """Folders by the names that stand in tables: runs of kmask, their checkpoints, exports, Hugging Face folders."""
    measures: dict[str, Measure]
    """What is measured, by name."""

    def __post_init__(self) -> None:
        if not self.output:
            raise ValueError("output: '' is no folder")
        for field in ("models", "measures"):
            if not getattr(self, field):
                raise ValueError(f"{field}: at least one is needed")
            for name in getattr(self, field):
                if not NAME.fullmatch(name):
                    raise ValueError(
                        f"{field}: {name!r} names a folder; letters, digits, _ + - and, not in the first place, . are "
                        "allowed"
                    )
