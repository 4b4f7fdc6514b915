"""What of everything learned so far is still there: held-out figures of a stage, in metrics.jsonl as `evaluation`.

    at: start, end     all tasks learned so far, those that pause in this stage included: their heads are kept
    at: within         the tasks of the stage, every evaluation.every steps
    at: averaged       all again, when the mean of stage ends has taken the place of the end (forgetting.py)

Nothing here changes what is trained: no gradient is made, and torch's generator is set anew before every training
forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pretrain.best import judged
from pretrain.engine import Engine
from pretrain.evaluation.heldout import evaluate
from pretrain.forgetting import BEGIN
from pretrain.processes.heartbeat import doing
from pretrain.saving import Surroundings


class Retention:
    """The evaluations of one stage.

    Args:
        tasks: those of the stage.
        span: the steps of the run at which it begins and ends.
    """

    def __init__(self, around: Surroundings, index: int, tasks: Sequence[str], span: tuple[int, int]) -> None:
        self.around, self.span = around, span
        self.stage = around.run.stages[index].name
        self.found_best = False
        """Has an evaluation found the best so far, which is not saved yet?"""
        self.own = around.corpus.heldout(tasks)
        self.all = around.corpus.heldout(around.progress.learned)

    def look(self, engine: Engine) -> None:
        """Measure, if it is time to and was not done already."""
        step, every = self.around.progress.step, self.around.run.evaluation.every
        tracker = self.around.tracker
        due = bool(every) and (step % every == 0 or step in self.span)
        if due and not self.around.world.any(tracker is not None and tracker.has("evaluation", step, self.stage)):
            self.measure(engine, "start" if step == self.span[0] else "end" if step == self.span[1] else "within")

    def measure(self, engine: Engine, at: str) -> None:
        """Measure now; a collective."""
        around = self.around
        if not around.run.evaluation.every:
            return
        doing("evaluation")
        engine.eval()
        makers = self.own if at == "within" else self.all
        measured = evaluate(engine, makers, around.run.evaluation.rows, around.world)
        engine.train()
        if measured is None:
            around.note("no held-out documents: evaluation is skipped (raise `heldout` in the data configuration)")
            return
        values = measured.values(around.world)
        if around.tracker:
            around.tracker.log("evaluation", around.progress.step, {"stage": self.stage, "at": at, **values})
        around.report("evaluation", around.progress.step, values)
        self._judge(values, at, engine)

    def take_best(self) -> bool:
        """Has an evaluation found the best so far since this was asked last?"""
        found, self.found_best = self.found_best, False
        return found

    def _judge(self, values: Mapping[str, float], at: str, engine: Engine) -> None:
        """Is this moment the best so far? The end of a stage that a mean will replace is not published."""
        progress, settings = self.around.progress, self.around.run.checkpoints.best
        if settings is None:
            progress.best = {}
            return
        replaced = at == "end" and any(name.endswith(BEGIN) for name in engine.memory.kept)
        found, better = judged(progress.best, settings, progress.step, values, at != "start" and not replaced)
        progress.best_before, progress.best = (progress.best if better else progress.best_before), found
        self.found_best |= better
