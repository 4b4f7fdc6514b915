"""The plots of a run: losses and accuracies of every task, of its kinds of units, and how the machine did."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from launch.reports.run.curves import Curve
from launch.reports.run.facts import RunFacts
from launch.reports.run.history import OWN_MASKS
from launch.reports.run.retention import joined
from launch.reports.run.terminal import WORDS
from launch.views.curve_plots import COLOURS, Frame, Series, Sign, Stripe, curve_plot

TRAIN, HELDOUT = "c0", "c1"
MACHINE = {
    "lr": "Learning rate",
    "tokens_per_second": "Tokens per second",
    "tflops": "TFLOP/s of each process",
    "mfu": "Share of the peak of a device",
    "loader_wait": "Share of the time spent waiting for batches",
    "grad_norm": "Gradient norm",
}


def frame_of(facts: RunFacts) -> Frame:
    """Steps, stages and marks of a run."""
    history = facts.history
    signs = []
    for kind, marks in history.marks.items():
        for mark in marks:
            many = f", {mark.count} times near here" if mark.count > 1 else ""
            text = f": {mark.text}" if mark.text else ""
            signs.append(Sign(kind, mark.step, f"step {mark.step:,}: {WORDS[kind]}{many}{text}"))
    stripes = [Stripe(stage.name, stage.begin, stage.end) for stage in history.stages]
    return Frame(history.lines.first_step, history.step, stripes, signs)


def series(name: str, colour: str, curve: Curve, dots: bool = False, band: bool = True) -> Series:
    """A curve as a plot takes it."""
    low, high = (curve.low_B.tolist(), curve.high_B.tolist()) if band else ([], [])
    return Series(name, colour, curve.step_B.tolist(), curve.mean_B.tolist(), low, high, dots)


def card(title: str, plot: str) -> str:
    """A plot with its title; nothing for none."""
    return f'<div class="card"><h4>{escape(title)}</h4>{plot}</div>' if plot else ""


def loss_plots(facts: RunFacts) -> str:
    """For every task its loss and its accuracy, of training and held-out, then the same by kind of unit."""
    history, frame = facts.history, frame_of(facts)
    found = signs_legend(facts)
    for task in joined(history, facts.plan):
        cards = ""
        for figure in ("loss", "accuracy"):
            pair = [("train", TRAIN, history.train), ("held-out", HELDOUT, history.heldout)]
            drawn = [
                series(name, colour, curves[f"{figure}/{task}"], dots=colour == HELDOUT)
                for name, colour, curves in pair
                if f"{figure}/{task}" in curves
            ]
            majority = history.heldout.get(f"majority/{task}")
            level = (f"most frequent class {majority.last:.2f}", majority.last) if majority else None
            cards += card(figure.capitalize(), curve_plot(drawn, frame, level if figure == "accuracy" else None))
        cards += group_cards(facts, task, frame)
        if cards:
            found += f'<h3>{escape(task)}</h3><div class="plots">{cards}</div>'
    return found


def group_cards(facts: RunFacts, task: str, frame: Frame) -> str:
    """Loss of every kind of unit of a task: held-out in one plot, training in another."""
    own = OWN_MASKS if task.endswith(OWN_MASKS) else ""
    groups = facts.history.groups.get(task.removesuffix(OWN_MASKS), [])
    cards = ""
    for kind, curves in (("held-out", facts.history.heldout), ("train", facts.history.train)):
        names = {group: f"loss/{task.removesuffix(OWN_MASKS)}/{group}{own}" for group in groups}
        drawn = [
            series(group, f"c{number % COLOURS}", curves[name], dots=kind == "held-out", band=False)
            for number, (group, name) in enumerate(names.items())
            if name in curves
        ]
        cards += card(f"Loss by kind of unit, {kind}", curve_plot(drawn, frame))
    return cards


def machine_plots(facts: RunFacts) -> str:
    """Learning rate, speed, waiting and gradients."""
    frame = frame_of(facts)
    cards = "".join(
        card(title, curve_plot([series(title, TRAIN, facts.history.train[name])], frame))
        for name, title in MACHINE.items()
        if name in facts.history.train
    )
    return f'<div class="plots bare">{cards}</div>' if cards else ""


def signs_legend(facts: RunFacts) -> str:
    """What the upright lines stand for."""
    names = [
        f'<span class="m-{kind}">{WORDS[kind]} ({facts.history.counts[kind]:,})</span>' for kind in facts.history.marks
    ]
    return f'<div class="curves">{"".join(names)}</div>' if names else ""


def compared_plots(runs: Sequence[RunFacts]) -> str:
    """Held-out loss and accuracy of every task, a curve for each run."""
    frame = Frame(min(facts.history.lines.first_step for facts in runs), max(facts.history.step for facts in runs))
    found = ""
    tasks = dict.fromkeys(task for facts in runs for task in joined(facts.history, facts.plan))
    for task in tasks:
        cards = ""
        for figure in ("loss", "accuracy"):
            drawn = [
                series(facts.label, f"c{number % COLOURS}", facts.history.heldout[f"{figure}/{task}"], True, False)
                for number, facts in enumerate(runs)
                if f"{figure}/{task}" in facts.history.heldout
            ]
            cards += card(figure.capitalize(), curve_plot(drawn, frame))
        if cards:
            found += f'<h3>{escape(task)}</h3><div class="plots">{cards}</div>'
    return found
