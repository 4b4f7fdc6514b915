"""What a model card says beside the checkpoint's own state, looked up where it is known; nothing is asked and nothing
is guessed.

    describe(folder, state, ...)  ->  Card     languages of the data, licence and name of the start checkpoint, held-out
                                               figures, the pooler

What cannot be looked up any more (a prepared folder or a start checkpoint that is gone) is left empty.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.code_points import HAN
from data_prep.encoding import Tokenizer
from data_prep.files import read_json
from pretrain.metrics.lines import Lines
from pretrain.state.card_sections import Folder
from pretrain.state.checkpoint import State
from pretrain.state.model_card import Card
from pretrain.state.origins import chain

EXAMPLES = {
    "zh": (("北京是中国的首", "都", "。"), ("中国的首都是北", "京", "。"), ("长江是亚洲最长的", "河", "。")),
    "en": (
        ("Paris is the ", "capital", " of France."),
        ("The Nile is the longest ", "river", " in Africa."),
        ("The sun rises in the ", "east", "."),
    ),
}
"""Text before, hidden word, text after: the first whose word is one token of the vocabulary is shown."""
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*|bert-(?:base|large)-[a-z-]+", re.ASCII)
HUB_CACHE = re.compile(r"(?:^|/)models--([^/]+?)--([^/]+)/snapshots(?:/|$)")
LOCAL = {
    "runs",
    "run",
    "output",
    "outputs",
    "out",
    "models",
    "model",
    "checkpoints",
    "checkpoint",
    "ckpt",
    "data",
    "tmp",
    "home",
    "exp",
    "work",
    "results",
}
"""First parts of a path that make it a folder of somebody's rather than a name on the hub."""
LEAST_SHARE = 0.01
"""Share of the characters from which on a language is named: below it may be documents whose language was mistaken."""
NO_CODE = "other"
"""What documents in none of the corpus' languages are counted under; a model card has no name for it."""


def describe(
    name: str, folder: Path, state: State, *, licence: str = "", languages: Sequence[str] = (), digest: str = ""
) -> Card:
    """Look everything up that a card says.

    Args:
        name: of the model.
        folder: the run.
        licence: what the user stated; that of the start checkpoint otherwise.
        languages: what the user stated; those of the prepared folders otherwise.
        digest: sha256 of the checkpoint's state.json, which evaluation.json must be of.
    """
    tokens = Tokenizer(folder=folder / "tokenizer").tokens
    known = list(languages) or data_languages(state)
    return Card(
        name=" ".join(name.split()),
        state=state,
        languages=known,
        example=example(known, tokens),
        pooler=pooler_origin(state),
        base=base_model(state.source),
        licence={"license": licence} if licence else source_licence(state.source),
        stated=bool(licence),
        heldout=heldout_figures(folder, state, digest),
        folders=folders_of(state),
    )


def folders_of(state: State) -> list[Folder]:
    """The prepared folders, with their manifests where they are there and are those of the checkpoint."""
    found = []
    for data in state.config["data"]:
        label = data.get("name") or str(data["path"]).rstrip("/").rsplit("/", 1)[-1]
        fingerprint = state.fingerprints.get(label, "").partition(" ")[0]
        try:
            manifest = read_json(Path(data["path"]) / "manifest.json")
            same = manifest["fingerprint"] == fingerprint and isinstance(manifest["counts"], dict)
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        found.append(Folder(name=label, fingerprint=fingerprint, facts=manifest if same else {}))
    return found


def data_languages(state: State) -> list[str]:
    """Languages of the prepared folders by characters; none unless all folders are there and are those of the
    checkpoint."""
    characters: Counter[str] = Counter()
    for folder in folders_of(state):
        if not folder.facts:
            return []  # from a part of the data alone it would be a guess
        for key, count in folder.facts["counts"].items():
            if key.startswith("characters.") and (language := key.rpartition(".")[2]):
                characters[language] += count
    least = LEAST_SHARE * characters.total()
    return [language for language, count in characters.most_common() if count >= least and language != NO_CODE]


def example(languages: Sequence[str], tokens: Sequence[str]) -> str:
    """A sentence in the first language that there is one in, otherwise in the one the vocabulary is made for, with one
    token hidden."""
    han = sum(HAN.fullmatch(token) is not None for token in tokens)
    language = next((code for code in languages if code in EXAMPLES), "zh" if 20 * han > len(tokens) else "en")
    known = set(tokens)
    fitting = [item for item in EXAMPLES[language] if item[1] in known]
    before, _, after = (fitting or EXAMPLES[language])[0]
    return f"{before}[MASK]{after}"


def pooler_origin(state: State) -> str:
    """`trained`, `source` (as the start checkpoint had it) or `initial`."""
    if state.seen["pooled"] > 0:
        return "trained"
    return "source" if state.source.get("pooler") else "initial"


def base_model(source: Mapping[str, Any]) -> str:
    """The start checkpoint's name on the hub, from its config.json or from where the hub's own cache keeps it; empty:
    it has none. Where a run began from another run, that one's start checkpoint."""
    return next(filter(None, map(_hub_name, chain(source))), "")


def _hub_name(source: Mapping[str, Any]) -> str:
    if found := HUB_CACHE.search(str(source.get("path", ""))):
        return f"{found[1]}/{found[2]}"
    name = str(source.get("config", {}).get("_name_or_path") or "")
    return (
        name
        if HUB_ID.fullmatch(name) and name.partition("/")[0].lower() not in LOCAL and not Path(name).exists()
        else ""
    )


def source_licence(source: Mapping[str, Any]) -> dict[str, Any]:
    """What the front matter of the start checkpoint's README.md says about its licence; empty when it says nothing or
    is gone. Where a run began from another run, that one's start checkpoint is asked too."""
    return next(filter(None, map(_stated_licence, chain(source))), {})


def _stated_licence(source: Mapping[str, Any]) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = (Path(source["path"]) / "README.md").read_text(encoding="utf-8-sig")
        head, _, _ = text.removeprefix("---").partition("\n---")
        found = YAML(typ="safe").load(io.StringIO(head)) if text.startswith("---") else None
    except (OSError, ValueError, YAMLError):
        return {}
    if not isinstance(found, dict) or not found.get("license"):
        return {}
    return {
        key: found[key] for key in ("license", "license_name", "license_link") if isinstance(found.get(key), str | list)
    }


def heldout_figures(folder: Path, state: State, digest: str = "") -> dict[str, float]:
    """Figures of exactly this step: of `kmask eval`, else those that training made, of the stage that ended rather than
    the one that began."""
    try:
        found = read_json(folder / "evaluation.json")
        if found.get("step") == state.step and found.get("checkpoint", digest) == digest:
            return dict(found)
    except (OSError, ValueError, AttributeError):
        pass
    lines = [
        line
        for line in Lines(folder / "metrics.jsonl", print).read()
        if line.get("event") == "evaluation" and line.get("step") == state.step
    ]
    lines.sort(key=lambda line: line.get("stage") == state.done[-1]["name"])
    return lines[-1] if lines else {}
