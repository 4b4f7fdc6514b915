"""What a preparation warns of: lines and files left out, words that cannot be produced or are cut, odd results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SHOWN_EXAMPLES = 5
MANY_CUT = 0.02
"""Share of cut words that is worth a warning."""


def input_lines(preparation: Any, found: Sequence[Any]) -> list[str]:
    """Everything there is to warn of before a corpus is read; ``found`` are the files of each corpus."""
    return [*file_lines(found), *word_list_lines(preparation)]


def word_list_lines(preparation: Any) -> list[str]:
    """A line for each lexicon with lines left out, and each segmenter that cannot produce words it was given."""
    malformed = [getattr(annotator, "malformed", []) for annotator in preparation.annotators]
    taught = {name: getattr(segmenter, "dictionary", None) for name, segmenter in preparation.segmenters.items()}
    return [
        *(f"lexicon: {len(lines)} malformed line(s) left out, first {lines[0]}" for lines in malformed if lines),
        *(
            f"segmenter {name}: {len(words.unreachable):,} word(s) it cannot produce left out, "
            f"first {words.unreachable[0]}"
            for name, words in taught.items()
            if words and words.unreachable
        ),
    ]


def file_lines(found: Sequence[Any]) -> list[str]:
    """A warning for each reason for which files are left out, and one for those that are named twice."""
    lines = []
    left_out = [item for one in found for item in one.left_out]
    for reason in dict.fromkeys(item.reason for item in left_out):
        items = [item for item in left_out if item.reason == reason]
        shown = ", ".join(f"{item.path} ({item.detail})" for item in items[:SHOWN_EXAMPLES])
        lines.append(f"warning: {len(items):,} file(s) left out, {reason}: {shown}")
    again = [pair for one in found for pair in one.again]
    if again:
        shown = ", ".join(f"{path} (is {earlier})" for path, earlier in again[:SHOWN_EXAMPLES])
        lines.append(f"warning: {len(again):,} other name(s) of files that are read already: {shown}")
    return lines


def cut_lines(counts: Mapping[str, int]) -> list[str]:
    """A warning for each language in which units cut more than a few words."""
    remedy = (
        "`boundaries: words` in a lexicon leaves its matches inside words out, `min_frequency` rare entries; "
        "`lexicons` of a segmenter teaches it"
    )
    lines = []
    for name, words in counts.items():
        language = name.removeprefix("words.")
        cut = counts.get(f"words cut.{language}", 0)
        if name.startswith("words.") and cut > MANY_CUT * words:
            share = f"{cut:,} of {words:,} {language} words ({cut / words:.1%})"
            lines.append(f"warning: phrases and entities cut {share}. {remedy}.")
    return lines


def other_lines(counts: Mapping[str, int]) -> list[str]:
    """A line where documents are in none of the languages that have a file of their own."""
    documents = {name: count for name, count in counts.items() if name.startswith("documents.")}
    total, other = sum(documents.values()), sum(documents[name] for name in documents if name.endswith(".other"))
    if not other:
        return []
    share = f"{other:,} of {total:,} documents ({other / total:.1%})"
    remedy = "They are kept; `cleaning.languages: [zh, en]` sets them aside"
    return [f"language: {share} are in none of the known languages (`other`). {remedy}."]


def manifest_warnings(manifest: Mapping[str, Any], folder: Path) -> list[str]:
    """What is prepared as asked and yet hardly what was meant."""
    from data_prep.counting.tallies import TALLY
    from data_prep.files import read_json
    from data_prep.vocabularies import unknowns

    found = unknowns.warnings(read_json(folder / TALLY)) if (folder / TALLY).is_file() else []
    share = manifest.get("settings", {}).get("heldout", 0)
    apart = sum(shard["documents"] for shard in manifest["shards"] if shard["split"] == "heldout")
    whole = sum(count for name, count in manifest["counts"].items() if name.startswith("documents."))
    if share and not apart:
        found.append(
            f"heldout: {share} selects none of {whole:,} document(s), and none can be spared: "
            "nothing will be there to evaluate on"
        )
    elif any(name.startswith("heldout.") for name in manifest["counts"]):
        found.append(
            f"heldout: {share} selects none of {whole:,} documents; {apart} is kept apart all the same. "
            "Raise `heldout` to evaluate on more"
        )
    return found
