"""`kmask track`: metrics.jsonl of a run, sent to a sink as if training had written it just now.

    RUN/metrics.jsonl --records that count--> sink.replay(...)       files (csv, tensorboard): written anew
                                                                     services (wandb, swanlab): only what is new

RUN/replayed/SINK-SETTINGS.json remembers what a service got: run again, it goes on behind that. A replay is a run of
its own there, beside the one that training wrote while it could.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from launch.outcomes.saved_runs import as_now, tell
from launch.reports.run.metric_lines import MetricLines
from launch.reports.run.plan import Plan, read_plan
from launch.reports.run.run_folders import folder_of, why_none
from launch.settings.components import decode, field_docs, plain
from launch.settings.yaml_files import ConfigError, Source, from_arguments


class Sent(NamedTuple):
    """What an earlier replay has sent to a service."""

    id: str
    lines: int
    digest: str
    """sha256 of these lines."""


def run_track(target: Path, to: str, project: str, items: Sequence[str]) -> None:
    """Replay the metrics of a run to a sink, and say what was sent.

    Raises:
        ValueError: there is no such run or sink, or a training writes to the sink just now.
    """
    from pretrain.sinks import Place, check_sinks

    folder = folder_of(target)
    if not (folder / "metrics.jsonl").is_file():
        raise ValueError(why_none(folder))
    plan = read_plan(folder)
    config = as_now(plan.config)
    sink = chosen_sink(to, project, items, config)
    check_sinks([sink])
    if sink.REWRITTEN and plan.trained_by and writes_to(plan, config, to):
        raise ValueError(
            f"{folder}: {plan.trained_by} trains there now and may write to {to} itself; replay when it has ended"
        )
    lines = MetricLines(file=folder / "metrics.jsonl")
    records = list(lines.records())
    tell_damage(lines)
    if not records:
        raise ValueError(f"{lines.file} holds no line of metrics")
    if sink.REWRITTEN:
        sink.replay(Place(folder, config, ""), records)
        print(f"{len(records):,} lines of {lines.file} -> {to} in {folder}")
        return
    mark = mark_of(folder, to, sink)
    sent = known(mark, records)
    if sent.lines == len(records):
        print(f"nothing new: {to} has all {len(records):,} lines of {lines.file} (run {sent.id})")
        return
    remember(mark, sent)
    sink.replay(Place(folder, config, sent.id), records[sent.lines :])
    remember(mark, Sent(sent.id, len(records), digest_of(records)))
    before = f", behind {sent.lines:,} of an earlier replay" if sent.lines else ""
    print(f"{len(records) - sent.lines:,} lines of {lines.file} -> {to}, run {sent.id}{before}")


def chosen_sink(to: str, project: str, items: Sequence[str], config: Mapping[str, Any]) -> Any:
    """The sink that the arguments name, with the settings it has in the run where they say nothing.

    Raises:
        ValueError: there is no such sink or setting.
    """
    from pretrain.sinks import Sink

    if wrong := [item for item in items if "=" not in item]:
        raise ConfigError(f"{wrong[0]!r}: write settings of the sink as key=value, for example mode=online")
    ours: list[Any] = config.get("tracking", {}).get("sinks", [])
    known_settings = next((item for item in ours if isinstance(item, dict) and item.get("kind") == to), {})
    sink = decode(Sink, Source({**known_settings, "kind": to, **from_arguments(items).value}, {}))  # type: ignore[type-abstract]
    if not project:
        return sink
    if "project" not in field_docs(type(sink)):
        raise ConfigError(f"--project {project}: {to} has no projects; leave it out")
    return decode(Sink, Source({**plain(sink), "project": project}, {}))  # type: ignore[type-abstract]


def writes_to(plan: Plan, config: Mapping[str, Any], to: str) -> bool:
    """May the training that goes on in a folder write to this sink? Yes where no checkpoint tells its settings."""
    sinks = config.get("tracking", {}).get("sinks", [])
    return not plan.config or any(item in (to, {"kind": to}) or item.get("kind") == to for item in sinks)


def tell_damage(lines: MetricLines) -> None:
    """Say which lines are left out."""
    if lines.unfinished:
        tell(f"{lines.file} ends in half a line (a kill, or a training that goes on); it is left out")
    if lines.bad:
        shown = "; ".join(lines.told)
        tell(f"{lines.bad:,} lines of {lines.file} are damaged and left out: {shown}")
    if lines.repeated_lines:
        tell(f"{lines.repeated_lines:,} lines whose steps were done again are left out")


def mark_of(folder: Path, to: str, sink: Any) -> Path:
    """Where it is remembered what a service got, under these settings."""
    settings = json.dumps(plain(sink), sort_keys=True)
    return folder / "replayed" / f"{to}-{sha256(settings.encode()).hexdigest()[:8]}.json"


def known(mark: Path, records: Sequence[Mapping[str, Any]]) -> Sent:
    """What was sent before; nothing, under a new id, when the file begins otherwise now (a run that went back)."""
    from data_prep.files import read_json

    new = Sent(uuid.uuid4().hex[:12], 0, digest_of([]))
    if not mark.is_file():
        return new
    value = read_json(mark)
    sent = Sent(str(value["id"]), int(value["lines"]), str(value["digest"]))
    if sent.lines <= len(records) and digest_of(records[: sent.lines]) == sent.digest:
        return sent
    print(f"note: metrics.jsonl has changed since the replay to {sent.id}; a new one begins", file=sys.stderr)
    return new


def remember(mark: Path, sent: Sent) -> None:
    """Write down what a service has."""
    from data_prep.files import write_json

    write_json(mark, sent._asdict())


def digest_of(records: Sequence[Mapping[str, Any]]) -> str:
    """A hash of some lines."""
    found = sha256()
    for record in records:
        found.update(json.dumps(record, sort_keys=True).encode())
    return found.hexdigest()
