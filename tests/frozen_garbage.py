"""The module `gc` for runs in a process that has imported much: no search of theirs looks at that again."""

from __future__ import annotations

import gc
import sys
import types


class Frozen(types.ModuleType):
    """`gc` that freezes what was imported once, and leaves it frozen when a run's stage ends."""

    def __init__(self) -> None:
        super().__init__("gc")
        self.__dict__.update(vars(gc), freeze=self.freeze_imported, unfreeze=int)
        self.modules = 0

    def freeze_imported(self) -> None:
        """Freeze what there is if something was imported since the last time."""
        if len(sys.modules) > self.modules:
            gc.freeze()
            self.modules = len(sys.modules)
