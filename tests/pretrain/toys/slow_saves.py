"""Knowledge masking in a process whose checkpoint of one step takes a minute to write, for kills in the middle of it.

KMASK_SLOW_SAVE=4    the step; without it nothing is slow
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.objectives.knowledge_masking import KnowledgeMasking
from pretrain.state import store

written = store.write_files


def slowly(staging: Path, tensors: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write everything, and stay there."""
    written(staging, tensors, state)
    if str(state["step"]) == os.environ.get("KMASK_SLOW_SAVE"):
        time.sleep(60)


store.write_files = slowly


@dataclass(frozen=True, kw_only=True)
class SlowSaves(KnowledgeMasking):
    """Knowledge masking as it is."""
