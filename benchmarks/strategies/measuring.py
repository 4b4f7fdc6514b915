"""What the models of the comparison are asked, and their results side by side.

    suite(...)     the YAML of one seed: its models, cloze and the tasks of {zh,en}_tasks.yaml with that seed
    gathered(...)  OUT/seed-1/SCHEME/MEASURE/*, OUT/seed-2/...  ->  COMPARED/SCHEME/MEASURE/seed-1.*, seed-2.*

A seed of pretraining is measured with the same seed of fine-tuning, so that a deviation holds both.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def suite(models: Mapping[str, Path], measures: Mapping[str, Any], seed: int, output: Path) -> dict[str, Any]:
    """The values of a suite; fine-tuning gets this seed."""
    own = {
        name: {**measure, "seeds": [seed]} if measure["kind"] == "fine_tuning" else measure
        for name, measure in measures.items()
    }
    return {
        "output": str(output / f"seed-{seed}"),
        "models": {name: str(path) for name, path in models.items()},
        "measures": own,
    }


TASKS = {"zh": ("chnsenticorp", "cluener", "ocnli", "sts_b"), "en": ("sst2", "cola", "mrpc", "wnut17")}


def measures_of(language: str, folder: Path, rate: float) -> dict[str, Any]:
    """Cloze on the held-out text, and the tasks of a language, fine-tuned at ``rate``."""
    from ruamel.yaml import YAML

    cloze = {"cloze": {"kind": "cloze", "data": str(folder / language / "data")}}
    if language == "zh" and (folder / "law" / "data" / "manifest.json").exists():
        cloze["cloze_law"] = {"kind": "cloze", "data": str(folder / "law" / "data")}
    tasks = YAML(typ="safe").load((HERE / f"{language}_tasks.yaml").read_text(encoding="utf-8"))
    tuned = {name: tasks["measures"][name] for name in TASKS[language]}
    return cloze | {name: {**item, "training": {**item["training"], "lr": rate}} for name, item in tuned.items()}


def write_suite(values: Mapping[str, Any], file: Path) -> None:
    """Write the YAML."""
    from ruamel.yaml import YAML

    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(dict(values), stream)


def gathered(output: Path, seeds: Sequence[int], compared: Path) -> list[Path]:
    """The folder of each model with the results of all seeds; only what every seed has is taken."""
    models: dict[str, Path] = {}
    measured = [
        {path.relative_to(output / f"seed-{seed}") for path in (output / f"seed-{seed}").glob("*/*") if path.is_dir()}
        for seed in seeds
    ]
    for place in sorted(set.intersection(*measured)):
        for seed in seeds:
            pieces = sorted((output / f"seed-{seed}" / place).glob("*.json"))
            if len(pieces) != 1:
                raise ValueError(f"{output / f'seed-{seed}' / place}: {len(pieces)} pieces, one was expected")
            target = compared / place
            target.mkdir(parents=True, exist_ok=True)
            for suffix in (".npz", ".json"):
                shutil.copyfile(pieces[0].with_suffix(suffix), target / f"seed-{seed}{suffix}")
        models.setdefault(place.parts[0], compared / place.parts[0])
    return list(models.values())
