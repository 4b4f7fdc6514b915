"""What a task reads: which prepared folders, which of their splits, and how documents are cut.

Feed(split="discourse", labelled=True, whole=True)      labelled pairs, each as one window
chosen_folders(task, ...)                                the folders of a task, or why it cannot be fed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_prep.shards import Prepared


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What an objective reads of a prepared folder."""

    split: str = "train"
    """The split that is trained on."""
    heldout: str = "heldout"
    """The split that is evaluated on; a folder without it is left out there."""
    whole: bool = False
    """Is a window a whole document, however long? The objective cuts it. Otherwise windows are whole sentences up to
    the sample's length."""
    labelled: bool = False
    """Must the split hold labelled pairs (corpora of kind pairs, discourse)? Their classes must be the same in all
    folders."""


def chosen_folders(
    task: str, kind: str, feed: Feed, named: Sequence[str], folders: Mapping[str, Prepared]
) -> dict[str, Prepared]:
    """The folders that a task reads.

    Args:
        kind: the class of the task, for messages.
        named: the names that the task gives; none: all.

    Raises:
        ValueError: a name that is no folder of the run, or a folder without what the task needs; with the task's name.
    """
    who = f"task {task!r} ({kind})"
    unknown = [name for name in named if name not in folders]
    if unknown:
        raise ValueError(
            f"tasks: {task}.folders names {unknown[0]!r}, which is not among the prepared folders "
            f"({', '.join(folders)})"
        )
    chosen = {name: folder for name, folder in folders.items() if name in named or not named}
    for name, folder in chosen.items():
        splits = dict.fromkeys(entry.split for entry in folder.entries if entry.documents)
        if not folder.tokens(feed.split):
            raise ValueError(
                f"{who} reads the split {feed.split!r}, and {name} has none of it (it has "
                f"{', '.join(splits) or 'no documents'}). "
                f"Name the folders that have it in tasks.{task}.folders, or prepare it"
            )
        if feed.labelled and feed.split not in folder.classes:
            raise ValueError(
                f"{who} needs labelled pairs, and the split {feed.split!r} of {name} has none. Prepare them with "
                "`kind: pairs`, or `discourse`"
            )
    if feed.labelled and len(several := {folder.classes[feed.split] for folder in chosen.values()}) > 1:
        lists = "; ".join(", ".join(names) for names in sorted(several))
        raise ValueError(
            f"{who}: its folders have different classes ({lists}); name folders of one kind in tasks.{task}.folders"
        )
    return chosen
