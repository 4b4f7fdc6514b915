"""`kmask export`: a checkpoint as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from launch.outcomes.exporting import How, run_export
from launch.outcomes.saved_runs import chosen_step
from launch.verbs.arguments import Best, DryRun, Step, TrainedRun, YamlChanges

LICENCE_HELP = "For the model card, as in `apache-2.0`; otherwise that of the start checkpoint."
LANGUAGES_HELP = "For the model card, repeatable; otherwise those of the data."
COMPANIONS_HELP = "Also second encoders inside heads, to FOLDER-TASK-NAME each."
FORMATS_HELP = (
    "An architecture of transformers (`ernie`, `bert`, `roberta`, `electra`, `modernbert`; left out: the one that was "
    "trained) and, besides, `sentence-transformers` or `onnx`. Repeatable."
)
DTYPE_HELP = "Of the weights: fp32, bf16 or fp16."
POOLING_HELP = "Of sentence-transformers: mean (default) or cls."
NORMALIZE_HELP = "Of sentence-transformers: vectors of length 1 (default)."
JSON_HELP = "What was done as JSON, and nothing else on stdout."


def export(
    run: TrainedRun,
    folder: Annotated[Path, typer.Argument(help="Where to write the Hugging Face folder.")],
    overrides: YamlChanges = None,
    step: Step = None,
    best: Best = False,
    licence: Annotated[str, typer.Option("--license", help=LICENCE_HELP)] = "",
    languages: Annotated[list[str] | None, typer.Option("--language", help=LANGUAGES_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    companions: Annotated[bool, typer.Option("--companions", help=COMPANIONS_HELP)] = False,
    formats: Annotated[list[str] | None, typer.Option("--format", help=FORMATS_HELP)] = None,
    dtype: Annotated[str, typer.Option("--dtype", help=DTYPE_HELP)] = "fp32",
    pooling: Annotated[str | None, typer.Option("--pooling", help=POOLING_HELP)] = None,
    normalize: Annotated[bool | None, typer.Option("--normalize/--no-normalize", help=NORMALIZE_HELP)] = None,
    dry_run: DryRun = False,
) -> None:
    """Write a Hugging Face folder and check that it gives the same logits as the training model."""
    how = How(formats=formats or [], dtype=dtype, pooling=pooling, normalize=normalize)
    step = chosen_step(run, overrides or [], step, best)
    raise typer.Exit(
        run_export(run, folder, overrides or [], step, licence, languages or [], as_json, dry_run, companions, how)
    )
