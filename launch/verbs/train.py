"""`kmask train`: pretrain on this machine, or as one rank of several."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from launch.backends.local import Local
from launch.processes import starting
from launch.processes.cost_plan import Asked, tell_plan
from launch.settings.yaml_files import ConfigError
from launch.verbs.arguments import ConfigFile, DryRun, Overrides

FROM_HELP = (
    "Begin a new run from this one: a run folder (its newest checkpoint), a checkpoint in it, an export, or a BERT or "
    "ERNIE folder; short for model.path=PATH. Read once."
)
OPTIMIZER_HELP = "Adam's memory of a run that is continued from: keep or reset; short for model.optimizer=..."
PROCESSES_HELP = "Processes on this machine; 0: one per GPU, or 2 without."
PLAN_HELP = "Say what it would cost (memory by ZeRO stage, FLOPs, hours, disk) and do nothing."
RATE_HELP = "For --plan: as fast; otherwise as the run's last lines of metrics, or 40 % of a known GPU's peak."
MEMORY_HELP = "For --plan: of a device; otherwise that of this machine's GPU."


def train(
    config: ConfigFile,
    overrides: Overrides = None,
    continue_from: Annotated[str, typer.Option(help=FROM_HELP, metavar="PATH")] = "",
    optimizer: Annotated[str, typer.Option(help=OPTIMIZER_HELP, metavar="keep|reset")] = "",
    processes: Annotated[int, typer.Option(help=PROCESSES_HELP)] = 0,
    dry_run: DryRun = False,
    plan: Annotated[bool, typer.Option("--plan", help=PLAN_HELP)] = False,
    rate: Annotated[float, typer.Option(help=RATE_HELP, metavar="TOKENS_PER_S")] = 0.0,
    memory: Annotated[float, typer.Option(help=MEMORY_HELP, metavar="GIB")] = 0.0,
) -> None:
    """Pretrain; run again to continue where it stopped. Under torchrun, srun or deepspeed each process is one rank."""
    given = [*(overrides or []), *beginning(continue_from, optimizer)]
    if plan:
        raise typer.Exit(tell_plan(Local(processes=processes), config, given, Asked(rate, memory)))
    if rate or memory:
        raise ConfigError("--rate and --memory belong to --plan")
    raise typer.Exit(starting.train(config, given, processes, dry_run))


def beginning(continue_from: str, optimizer: str) -> list[str]:
    """The options as overrides; every process of the run reads these."""
    named = {"model.path": continue_from, "model.optimizer": optimizer}
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in named.items() if value]
