"""What a run folder says beside its metrics: the plan of the newest checkpoint, and whether somebody trains in it now.

RUN/checkpoints/step-*/state.json  ->  Plan      read as JSON: no model is loaded, no hash is checked
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """A stage as the configuration has it."""

    name: str
    steps: int
    """0: it does not say."""
    tasks: Mapping[str, Any]
    """Share or amount of each."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a run; all empty while there is no checkpoint."""

    stages: Sequence[PlannedStage] = ()
    learned: Sequence[str] = ()
    """Tasks in order of joining, those of a run that it continues included."""
    before: Sequence[str] = ()
    """Tasks that the run it continues had learned."""
    checkpoints: Sequence[int] = ()
    """Steps of the checkpoints on disk."""
    best: Mapping[str, Any] = field(default_factory=dict)
    """The best checkpoint and what it is judged by; empty: none is kept."""
    config: Mapping[str, Any] = field(default_factory=dict)
    trained_by: str | None = None
    """The process that trains in the folder now."""
    problem: str = ""
    """Why there is no plan, although there are checkpoints."""

    @property
    def total(self) -> int:
        """Planned steps of the whole run; 0: not known."""
        steps = [stage.steps for stage in self.stages]
        return sum(steps) if all(steps) else 0


def read_plan(folder: Path) -> Plan:
    """The plan of the newest checkpoint whose state can be read."""
    from pretrain.processes.lock import holder
    from pretrain.state.names import candidates, step_of

    paths = candidates(folder / "checkpoints")
    steps, trained_by, problem = [step_of(path) for path in paths], holder(folder), ""
    for path in reversed(paths):
        try:
            state = _state(path / "state.json")
        except (ValueError, OSError) as error:
            problem = problem or f"{path.name}: {error}"
            continue
        config = state["config"] if isinstance(state.get("config"), dict) else {}
        source = state["source"] if isinstance(state.get("source"), dict) else {}
        return Plan(
            stages=_stages(config.get("stages")),
            learned=_names(state.get("learned")),
            before=_names(source.get("learned")),
            checkpoints=steps,
            best=state["best"] if isinstance(state.get("best"), dict) else {},
            config=config,
            trained_by=trained_by,
        )
    return Plan(checkpoints=steps, trained_by=trained_by, problem=problem)


def _state(file: Path) -> dict[str, Any]:
    from data_prep.files import read_json

    value = read_json(file)
    if not isinstance(value, dict):
        raise ValueError("its state.json is no object")
    return value


def _names(value: Any) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []


def _stages(value: Any) -> list[PlannedStage]:
    """Stages of a configuration; none when it has them in a way that is not known here."""
    found = []
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            return []
        steps, tasks = item.get("steps"), item.get("tasks")
        found.append(
            PlannedStage(
                name=item["name"],
                steps=steps if type(steps) is int and steps > 0 else 0,
                tasks=tasks if isinstance(tasks, dict) else {},
            )
        )
    return found
