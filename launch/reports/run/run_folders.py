"""The folders that `kmask report` is given: runs, YAMLs that name them, or something else that is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def folder_of(target: Path) -> Path:
    """The run folder behind a folder or a YAML.

    Raises:
        ValueError: there is none; says what to give instead.
    """
    from pretrain.state.names import NAME

    if target.is_file():
        from launch.settings.yaml_files import load

        if target.suffix not in (".yaml", ".yml"):
            raise ValueError(f"{target} is no run folder and no YAML; give the folder of a run")
        value = load(target, []).value
        output = value.get("output") if isinstance(value, dict) else None
        if not isinstance(output, str) or not {"stages", "schedule"} & set(value):
            raise ValueError(f"{target} is no pretraining YAML (it names no `output` and `stages`)")
        if not Path(output).is_dir():
            raise ValueError(
                f"{target}: its output {output} is not there (looked from {Path.cwd()}); train first, or give the run "
                "folder itself"
            )
        return Path(output)
    if not target.is_dir():
        raise ValueError(f"{target}: no such run folder or YAML file (looked from {Path.cwd()})")
    if NAME.fullmatch(target.name):
        raise ValueError(f"{target} is a single checkpoint; give the run folder above it")
    return target


def why_none(folder: Path) -> str:
    """Why a folder without metrics has none, and what to do."""
    if (folder / "manifest.json").is_file():
        return f"{folder} is a prepared folder, not a run; `kmask prepare report {folder}` reports on it"
    if (folder / "training_manifest.json").is_file():
        return f"{folder} is an exported model; give the run folder that it came from"
    if any((folder / name).exists() for name in ("checkpoints", "lock", "tokenizer")):
        return (
            f"{folder} has written no metrics yet (there is no metrics.jsonl); "
            "a line comes every tracking.every steps, and with each evaluation"
        )
    return f"{folder} is no run folder: it holds no metrics.jsonl"


def labels(folders: Sequence[Path]) -> list[str]:
    """The ends of the paths that tell them apart, without what all of them end in: x/a/run, x/b/run -> a, b."""
    parts = [list(folder.resolve().parts) for folder in folders]
    while len({part[-1] for part in parts}) == 1 < len({tuple(part) for part in parts}) and min(map(len, parts)) > 2:
        parts = [part[:-1] for part in parts]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{folder} ({number})" for number, folder in enumerate(folders, 1)]
