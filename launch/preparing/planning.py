"""`kmask prepare plan`: what would be done, how long it would take, and what the first documents look like."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from launch.reports.prepared.warning_lines import cut_lines, input_lines, other_lines
from launch.settings.components import read_config
from launch.shell.console import Bar
from launch.shell.formatting import clock
from launch.views.document import bracket_legend, document_lines
from launch.views.terminal import print_lines

if TYPE_CHECKING:
    from data_prep.planned import Plan
    from data_prep.preparing.estimates import Estimate
    from data_prep.preparing.plan import Preparation

SHOWN_SOURCES, SHOWN_DOCUMENTS, SHOWN_SENTENCES = 20, 2, 3
LOW_DISK = 1.1
"""Warn when the estimate times this exceeds the free space."""


def show_plan(file: Path, overrides: list[str]) -> None:
    """Survey, measure a sample, and print the outcome.

    Keeps nothing but the survey of a large corpus, which `prepare` takes up.
    """
    from data_prep.preparing.corpus_tasks import kept_plan
    from data_prep.preparing.estimates import measure
    from data_prep.preparing.plan import Preparation, check_not_empty, find_all

    preparation = read_config(Preparation, file, overrides)
    bar = Bar("survey", "bytes")
    found = find_all(preparation)
    plan = kept_plan(preparation, lambda progress: bar.update(progress.done, progress.total, ""), found)
    bar.close()
    for line in [*plan_lines(preparation, plan), *input_lines(preparation, found)]:
        print(line)
    check_not_empty(plan)
    with TemporaryDirectory() as temporary:
        estimate = measure(preparation, plan, Path(temporary))
        for line in estimate_lines(preparation, estimate):
            print(line)
        show_first(Path(temporary), preparation)


def plan_lines(preparation: Preparation, plan: Plan) -> list[str]:
    """Files, sources, parts, levels and labels."""
    sources = plan.sources()
    sizes = Counter({name: size for name, (size, _) in sources.items()})
    lines = [f"{plan.files:,} file(s), {plan.bytes:,} bytes of text, {plan.parts:,} part(s) -> {preparation.output}"]
    for name, size in sizes.most_common(SHOWN_SOURCES):
        lines.append(f"  {name:28s} {size / 1e6:12,.2f} MB in {sources[name][1]:,} file(s)")
    if len(sizes) > SHOWN_SOURCES:
        rest = sum(size for _, size in sizes.most_common()[SHOWN_SOURCES:])
        lines.append(f"  {f'{len(sizes) - SHOWN_SOURCES} more sources':28s} {rest / 1e6:12,.2f} MB")
    lines.append(f"levels: {', '.join(plan.levels)}")
    types = dict.fromkeys(f"{label['type']} ({label['origin']})" for label in plan.labels if label["type"])
    lines.append(f"labels: {', '.join(types) or 'none'}")
    return lines


def estimate_lines(preparation: Preparation, estimate: Estimate) -> list[str]:
    """Time and disk space, and what they were measured on."""
    import shutil

    measured = f"{estimate.documents:,} documents, {estimate.sample_bytes / 1e6:.2f} MB"
    free_in = next(
        path
        for path in (Path(preparation.output).resolve(), *Path(preparation.output).resolve().parents)
        if path.exists()
    )
    free = shutil.disk_usage(free_in).free
    lines = [
        f"measured on {measured}: {estimate.bytes_per_second / 1e6:.2f} MB/s for one worker, "
        f"{estimate.loading_seconds:.1f} s to load lexicons and models",
        f"estimate: {estimate.hours:.2f} hours ({clock(estimate.hours * 3600)}) with {estimate.workers} worker(s), "
        "after this survey; corpus-wide steps such "
        "as duplicate removal come on top",
        f"disk: {estimate.disk_bytes / 1e9:.2f} GB at most; {free / 1e9:.1f} GB are free in {free_in}",
    ]
    if estimate.disk_bytes * LOW_DISK > free:
        lines.append("warning: that is more than there is, or nearly")
    if estimate.set_aside:
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in estimate.set_aside.most_common())
        lines.append(f"set aside in the sample: {reasons}")
    return [*lines, *other_lines(estimate.counts), *cut_lines(estimate.counts)]


def show_first(folder: Path, preparation: Preparation) -> None:
    """The first sentences of the first documents of the sample, with their units."""
    from data_prep.encoding import Tokenizer
    from data_prep.shard import Shard

    levels = tuple(preparation.levels)
    shard = Shard(folder / "sample.arrow", levels)
    seen: dict[str, int] = {}
    for document in range(len(shard)):  # one of each source first, then others
        seen.setdefault(shard.text_of("source", document), document)
    chosen = list(dict.fromkeys([*seen.values(), *range(len(shard))]))[: max(SHOWN_DOCUMENTS, min(len(seen), 6))]
    view = Sample(Tokenizer(folder=folder / "tokenizer"), levels, tuple(preparation.labels))
    print()
    print_lines([bracket_legend()])
    for document in chosen:
        lines = list(document_lines(view, shard, document, "sample"))
        print()
        print_lines([lines[0], *lines[2 : 2 + SHOWN_SENTENCES]])


class Sample:
    """What `kmask show document` needs to know about a folder, for a shard outside one."""

    def __init__(self, tokenizer: Any, levels: tuple[str, ...], labels: tuple[Any, ...]) -> None:
        self.tokenizer, self.levels, self.labels = tokenizer, levels, labels
