"""What is sent to worker processes: the fields of an object, without what its cached properties hold.

@dataclass(frozen=True, kw_only=True)
class Words(Portable):
    paths: list[str]                      travels

    @cached_property
    def engine(self) -> Any: ...          is made anew in each process: it may be large, or no process can send it
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any


class Portable:
    """Pickles as everything but its cached properties."""

    def __getstate__(self) -> dict[str, Any]:
        cls: Any = type(self)
        made_anew = _cached_names(cls)
        return {name: value for name, value in self.__dict__.items() if name not in made_anew}


@cache
def _cached_names(cls: Any) -> frozenset[str]:
    """Names of the cached properties of a class and its bases."""
    return frozenset(
        name for base in cls.__mro__ for name, item in vars(base).items() if isinstance(item, cached_property)
    )
