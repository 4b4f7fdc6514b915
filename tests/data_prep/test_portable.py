"""Portable: what is sent to worker processes."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import cached_property

from data_prep.portable import Portable


@dataclass(frozen=True, kw_only=True)
class Base(Portable):
    name: str

    @cached_property
    def engine(self) -> object:
        return lambda: self.name  # no process can send it


@dataclass(frozen=True, kw_only=True)
class Derived(Base):
    size: int = 1

    @cached_property
    def table(self) -> list[int]:
        return [0] * self.size


def test_fields_travel_and_what_cached_properties_hold_is_made_anew() -> None:
    sent = Derived(name="a", size=3)
    assert sent.engine and sent.table == [0, 0, 0]
    received = pickle.loads(pickle.dumps(sent))
    assert received == sent
    assert vars(received) == {"name": "a", "size": 3}
    assert received.table == [0, 0, 0]
