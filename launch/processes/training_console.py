"""A training run on the terminal: the trainer's reports as a progress bar and lines above it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch.shell.console import Bar


class TrainConsole:
    """Renders the trainer's reports."""

    def __init__(self) -> None:
        self.bar = Bar("train", "steps")
        self.total = 0

    def __call__(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        if event == "begin":
            self.total = values["total"]
            how = f"continuing at step {step}" if values["resumed"] else "starting"
            self.bar.say(f"{how} of {self.total} steps, {values['world']} process(es)")
        elif event == "stage":
            self.bar.say(
                f"stage {values['index'] + 1} `{values['name']}`: "
                f"{values['steps']} steps of {', '.join(values['tasks'])}"
            )
        elif event == "train":
            done = values["share"] * self.total if "share" in values else step  # steps may see less text than others
            self.bar.update(done, self.total, *self.parts(values))
        elif event == "evaluation":
            self.bar.say(f"held-out at step {step}: {self.line(values)}{group_accuracies(values)}")
        elif event == "note":
            self.bar.say(f"note: {values['text']}")

    def parts(self, values: Mapping[str, Any]) -> list[str]:
        """Speed where it is known, and losses."""
        losses = [
            f"{name.removeprefix('loss/')} {value:.3f}"
            for name, value in values.items()
            if name.startswith("loss/") and name.count("/") == 1
        ]
        speed = [f"{values['tokens_per_second']:,.0f} tokens/s"] if "tokens_per_second" in values else []
        return [*losses, *speed]

    def line(self, values: Mapping[str, Any]) -> str:
        """The same as one text."""
        return " ".join(self.parts(values))

    def close(self) -> None:
        """End the bar."""
        self.bar.close()


def group_accuracies(values: Mapping[str, Any]) -> str:
    """Accuracies of the groups (kinds of units) of the first task with any: ` | accuracy word 0.412 entity 0.105`."""
    named = [(name.split("/"), value) for name, value in values.items() if name.startswith("accuracy/")]
    found = [(*parts[1:], value) for parts, value in named if len(parts) == 3]
    shown = " ".join(f"{group} {value:.3f}" for task, group, value in found if task == found[0][0])
    return f" | accuracy {shown}" if shown else ""
