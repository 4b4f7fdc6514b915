"""Which masking strategy buys what: equal data, model, steps and seeds, on cloze questions by kind of unit and on tasks.

    python -m benchmarks.strategies --minutes 20      again and again, until it says that everything is done
        (Chinese and English, small model, 3 seeds; --size base on a GPU; --languages, --schemes, --seeds for a part)

1. prepare   phrases mined, shards and similar words made, once a language
2. train     every strategy with every seed, seed by seed, so that a part of it is a fair part
3. measure   the suite of each language: cloze, fine-tuned tasks
4. compare   one page a language: differences to `subword` with intervals
   --law SCHEME continues the small Chinese models of a strategy on law texts, and measures these beside the others

Each run ends when its time is over and is taken up again; a finished one is not touched. The texts are not part of the
repository; they are expected in ../shared/data.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.strategies.measuring import gathered, measures_of, suite, write_suite
from benchmarks.strategies.schemes import LAW, SCHEMES, SIZES, configuration, continuing, law_folder, run_folder

HERE = Path(__file__).parent
LANGUAGES = ("zh", "en")


def kmask(*arguments: str) -> None:
    """A command of kmask in a process of its own, shown."""
    print("kmask", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "launch.cli", *arguments], check=True)


def prepare(language: str, folder: Path) -> None:
    """Mined phrases, shards, similar words; each only where it is missing."""
    mine, phrases = folder / language, folder / language / "phrases.tsv"
    mine.mkdir(parents=True, exist_ok=True)
    data = HERE / f"{language}.yaml"
    if language in LANGUAGES and not phrases.exists():
        lines = data.read_text(encoding="utf-8").splitlines()
        unmined = mine / "mining.yaml"
        unmined.write_text("\n".join(line for line in lines if "phrases.tsv]" not in line) + "\n", encoding="utf-8")
        kmask("lexicon", "mine", str(unmined), "-o", str(phrases), f"output={mine / 'mining'}")
    if not (mine / "data" / "manifest.json").exists():
        kmask("prepare", str(data), f"output={mine / 'data'}")
    if language in LANGUAGES and not (mine / "similar.tsv").exists():
        kmask("lexicon", "similar", str(mine / "data"), "-o", str(mine / "similar.tsv"))


def is_trained(output: Path, steps: int) -> bool:
    """Does the run have the checkpoint of its last step?"""
    return (output / "checkpoints" / f"step-{steps:08d}" / "state.json").is_file()


def train(wanted: Sequence[Mapping[str, Any]], over: Callable[[], bool]) -> bool:
    """Train the runs that are not trained, until the time is over. Is everything trained?"""
    from launch.settings.components import Source, decode, plain
    from pretrain.config import Run
    from pretrain.engine import join
    from pretrain.settings import DeepSpeed
    from pretrain.trainer import Trainer

    world: Any = None
    for values in wanted:
        output, steps = Path(values["output"]), int(values["stages"][0]["steps"])
        if is_trained(output, steps):
            continue
        if over():
            return False
        world = world or join(DeepSpeed(precision=values["engine"]["precision"]))
        run, began = decode(Run, Source(dict(values), {})), time.monotonic()
        Trainer(run, plain(run), world, lambda event, step, values: None, over).train()
        done = is_trained(output, steps)
        print(f"{output}: {'trained' if done else 'not finished'}, {time.monotonic() - began:.0f} s", flush=True)
        if not done:
            return False
    return True


def measure(language: str, schemes: Sequence[str], size: str, seeds: Sequence[int], folder: Path) -> None:
    """The suite of every seed; what is measured is not measured again."""
    for seed in seeds:
        models = {scheme: run_folder(scheme, language, size, seed, folder) for scheme in schemes}
        if language == "zh" and size == "small":
            models |= {kind: law_folder(kind, seed, folder) for kind in LAW if law_folder(kind, seed, folder).is_dir()}
        place = folder / language / size
        file = place / f"suite-{seed}.yaml"
        write_suite(
            suite(models, measures_of(language, folder, SIZES[size].tuning_rate), seed, place / "results"), file
        )
        kmask("eval", str(file))


def compare(language: str, size: str, seeds: Sequence[int], folder: Path) -> None:
    """The page of a language."""
    place = folder / language / size
    models = gathered(place / "results", seeds, place / "compared")
    models.sort(key=lambda model: [*SCHEMES, *LAW].index(model.name))
    kmask("compare", *map(str, models), "--baseline", "subword", "--html", str(place / "compared.html"))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/strategies"))
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES), choices=LANGUAGES)
    parser.add_argument("--schemes", nargs="+", default=list(SCHEMES), choices=list(SCHEMES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", default="small", choices=list(SIZES))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--law", default="", choices=list(SCHEMES), help="continue this strategy's models on law texts")
    given = parser.parse_args()
    end = time.monotonic() + 60 * given.minutes
    for language in given.languages:
        prepare(language, given.folder)
    seeds = range(1, given.seeds + 1)
    wanted = [
        configuration(scheme, language, given.size, seed, given.folder)
        for seed in seeds
        for language in given.languages
        for scheme in given.schemes
    ]
    if given.law:
        prepare("law", given.folder)
        wanted += [continuing(kind, given.law, seed, given.folder) for seed in seeds for kind in LAW]
    if not train(wanted, lambda: time.monotonic() > end):
        print("the time is over; the same command goes on")
        return 0
    for language in given.languages:
        measure(language, given.schemes, given.size, seeds, given.folder)
        compare(language, given.size, seeds, given.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
