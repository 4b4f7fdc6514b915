"""What the verbs do: configuration -> components -> work -> a few lines for the user."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch.config import ConfigError, decode, load, plain, read_config
from launch.console import Bar, Stages
from launch.warnings_of import SHOWN_REJECTED, cut_lines, malformed_lines

USER_ERROR, SET_ASIDE = 2, 3


def config_class(kind: str) -> type:
    """The configuration class behind `data`, `pretrain` or `cluster`."""
    if kind == "data":
        from data_prep.preparing.plan import Preparation

        return Preparation
    if kind == "pretrain":
        from pretrain.config import Run

        return Run
    if kind == "cluster":
        from launch.backends import Backend

        return Backend
    raise ConfigError(f"{kind!r} is not one of data, pretrain, cluster")


def recognise(value: dict[str, Any]) -> str:
    """Which class a file is written for, by its keys."""
    return "data" if "corpora" in value else "pretrain" if "stages" in value else "cluster" if "kind" in value else "pretrain"


def show_config(file: Path, overrides: list[str]) -> None:
    """Print the resolved configuration as YAML with the origin of each value."""
    source = load(file, overrides)
    component: Any = decode(config_class(recognise(source.value)), source)

    def lines(value: Any, path: tuple[Any, ...], indent: int) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            here = (*path, key)
            name = f"{key}:" if isinstance(value, dict) else "-"
            origin = source.marks.get(here, "default")
            if isinstance(item, dict | list) and item:
                print(f"{'  ' * indent}{name}")
                lines(item, here, indent + 1)
            else:
                shown = "''" if item == "" else str(item).lower() if isinstance(item, bool) else "null" if item is None else item
                print(f"{'  ' * indent}{name} {shown}".ljust(60) + f"  # {origin}")

    lines(plain(component), (), 0)


def run_prepare(file: Path, overrides: list[str], slurm: int | None = None) -> int:
    """`kmask prepare`; with ``slurm``, print a script that runs it in so many tasks."""
    from data_prep.preparing.pipeline import prepare
    from data_prep.preparing.plan import Preparation, StageProgress

    preparation = read_config(Preparation, file, overrides)
    if slurm is not None:
        from launch.slurm_array import slurm_script

        print(slurm_script(file, overrides, slurm), end="")
        return 0
    bar, stages = Bar("prepare", "bytes"), Stages()
    for line in malformed_lines(preparation):
        bar.say(line)

    def listen(progress: StageProgress) -> None:
        if progress.stage == "parts":
            stages.bar.close()
            bar.update(progress.done, progress.total, f"{progress.documents:,} documents,", f"{progress.rejected:,} set aside")
            return
        stages.update(progress.stage, progress.done, progress.total)
        if progress.done == progress.total:
            stages.bar.close()
            if "," in progress.stage:
                bar.say(f"{progress.stage}: {progress.total:,} task(s) done")
                return
            bar.say(f"surveyed {progress.total / 1e6:,.1f} MB of files" if progress.stage == "survey" else f"{progress.stage}: corpus read")

    begun = time.monotonic()
    try:
        manifest = prepare(preparation, listen)
    finally:
        bar.close()
        stages.bar.close()
    return summarise(manifest, Path(preparation.output), time.monotonic() - begun)


def other_lines(counts: Mapping[str, int]) -> list[str]:
    """A line where documents are in none of the languages that have a file of their own."""
    total = sum(count for name, count in counts.items() if name.startswith("documents."))
    other = sum(count for name, count in counts.items() if name.startswith("documents.") and name.endswith(".other"))
    remedy = "They are kept; `cleaning.languages: [zh, en]` sets them aside"
    return [f"language: {other:,} of {total:,} documents ({other / total:.1%}) are in none of the known languages (`other`). {remedy}."] if other else []


def summarise(manifest: dict[str, Any], folder: Path, seconds: float) -> int:
    """Tell what was prepared; the exit code says whether documents were set aside."""
    import json

    counts = manifest["counts"]

    def total(prefix: str) -> int:
        return sum(count for name, count in counts.items() if name.startswith(prefix))

    tokens = {split: sum(s["tokens"] for s in manifest["shards"] if s["split"] == split) for split in ("train", "heldout")}
    print(f"{folder}: {total('documents.'):,} documents, {total('characters.'):,} characters, {seconds:.1f} s")
    unknown, size = counts.get("tokens.unknown", 0), manifest["tokenizer"]["size"]
    print(f"  tokens: {tokens['train']:,} to train on, {tokens['heldout']:,} held out; {unknown:,} are [UNK]; vocabulary {size:,}")
    for level in manifest["levels"]:
        labels: Counter[str] = Counter()
        for name, count in counts.items():
            if name.startswith(f"units.{level}."):
                labels[name.removeprefix(f"units.{level}.").rpartition(".")[0]] += count
        detail = ", ".join(f"{label} {count:,}" for label, count in sorted(labels.items(), key=lambda item: -item[1])[:6] if label != "-")
        print(f"  {level}: {sum(labels.values()):,} units{' (' + detail + ')' if detail else ''}")
    dropped = {name.removeprefix("dropped."): count for name, count in counts.items() if name.startswith("dropped.")}
    if dropped:
        print("  left out: " + "; ".join(f"{reason}: {count:,}" for reason, count in dropped.items()))
    for line in [*other_lines(counts), *cut_lines(counts)]:
        print(f"  {line}")
    for warning in warnings(manifest, folder):
        print(f"warning: {warning}", file=sys.stderr)
    rejected = total("rejected.")
    if not rejected:
        return 0
    print(f"{rejected:,} document(s) set aside, listed in {folder / 'rejected.jsonl'}:", file=sys.stderr)
    reasons = Counter({name.removeprefix("rejected."): count for name, count in counts.items() if name.startswith("rejected.")})
    print("  " + "; ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common()), file=sys.stderr)
    with (folder / "rejected.jsonl").open(encoding="utf-8") as lines:
        for _, line in zip(range(SHOWN_REJECTED), lines, strict=False):
            item = json.loads(line)
            print(f"  {item['path']}:{item['line']}: {item['reason']} ({item['detail']})", file=sys.stderr)
    return SET_ASIDE


def warnings(manifest: dict[str, Any], folder: Path) -> list[str]:
    """What is prepared as asked and yet hardly what was meant."""
    from data_prep.counting.tallies import TALLY
    from data_prep.files import read_json
    from data_prep.vocabularies import unknowns

    found = unknowns.warnings(read_json(folder / TALLY)) if (folder / TALLY).is_file() else []
    share = manifest.get("settings", {}).get("heldout", 0)
    apart = sum(shard["documents"] for shard in manifest["shards"] if shard["split"] == "heldout")
    whole = sum(count for name, count in manifest["counts"].items() if name.startswith("documents."))
    if share and not apart:
        found.append(f"heldout: {share} selects none of {whole:,} document(s), and none can be spared: nothing will be there to evaluate on")
    elif any(name.startswith("heldout.") for name in manifest["counts"]):
        found.append(f"heldout: {share} selects none of {whole:,} documents; {apart} is kept apart all the same. Raise `heldout` to evaluate on more")
    return found


def run_train(file: Path, overrides: list[str], processes: int, dry_run: bool) -> int:
    """`kmask train`: one rank when started as one, otherwise all of them on this machine."""
    from launch.ranks import is_rank, run_rank

    if is_rank() and not dry_run:

        def read() -> tuple[Any, Any]:
            run: Any = read_config(config_class("pretrain"), file, overrides)
            return run, plain(run)

        return run_rank(read)
    from launch.backends.local import Local
    from pretrain import stopping

    if not dry_run:
        stopping.listen()  # Local.run takes over; what arrives until then is not lost
    try:
        return start(Local(processes=processes), file, overrides, dry_run, remote=False)
    finally:
        stopping.forget()


def run_launch(cluster: Path, file: Path, overrides: list[str], dry_run: bool) -> int:
    """`kmask launch`."""
    from launch.backends import Backend

    return start(read_config(Backend, cluster, []), file, overrides, dry_run, remote=True)  # type: ignore[type-abstract]


def start(backend: Any, file: Path, overrides: list[str], dry_run: bool, remote: bool) -> int:
    """Start the processes of a run, or say what would be started. Rank 0 checks the configuration and tells what is wrong with it."""
    if dry_run:
        from launch import dry_run as dry

        return dry.dry_run(backend, file, overrides, remote)
    output = Path(str(load(file, overrides).value.get("output", ".")))
    new = not output.exists()
    code = int(backend.run(["train", str(file), *overrides], str(output / "logs")))
    if new and code == USER_ERROR:
        forget_start(output)
    return code


def forget_start(output: Path) -> None:
    """Remove what a start that was refused has left: a folder with logs and a lock, in which nothing was trained."""
    import contextlib
    import shutil

    from pretrain.lock import NAME, held

    if output.is_dir() and all(path.name in ("logs", NAME) for path in output.iterdir()):
        with contextlib.suppress(ValueError, OSError), held(output, 0, lambda note: None):  # not under another training that has just begun
            shutil.rmtree(output)
