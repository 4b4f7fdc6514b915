"""The card of an export: what it says is what the checkpoint, the data and the start checkpoint know, and its front
matter is YAML."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from ruamel.yaml import YAML
from saved_run import toy_state
from tiny import TINY_RUN

from pretrain.config import Run
from pretrain.state.card_facts import (
    base_model,
    data_languages,
    example,
    folders_of,
    heldout_figures,
    pooler_origin,
    source_licence,
)
from pretrain.state.card_sections import Made
from pretrain.state.checkpoint import State
from pretrain.state.model_card import Card, model_card

ENCODER = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 100}
NO_SOURCE: Mapping[str, Any] = {}


@pytest.fixture
def state(tmp_path: Path) -> State:
    from launch.settings.components import read_config

    (tmp_path / "run.yaml").write_text(TINY_RUN.format(output=tmp_path / "run", data=tmp_path / "data"))
    return toy_state(read_config(Run, tmp_path / "run.yaml", []), 6, ENCODER, {"demo": "f"})


def card_values(state: State) -> dict[str, Any]:
    return {
        "name": "toy",
        "state": state,
        "languages": ["zh", "en"],
        "example": "[MASK]",
        "pooler": "trained",
        "base": "",
        "licence": {},
        "stated": False,
        "heldout": {},
    }


@pytest.fixture
def card(state: State) -> Callable[..., str]:
    """The text of a card of a trained state, with some things changed."""

    def write(**changes: Any) -> str:
        return model_card(Card(**{**card_values(state), **changes}))

    return write


def front(text: str) -> dict[str, Any]:
    """The front matter, as the hub's own reader (YAML 1.1) and a reader of YAML 1.2 agree on it."""
    found: dict[str, Any] = YAML(typ="safe").load(text.split("---\n", 2)[1])
    assert ModelCard(text).data.to_dict() == found
    return found


def test_headings_stand_alone_and_no_placeholder_is_left(card: Callable[..., str], state: State) -> None:
    text = card(
        heldout={"loss/knowledge_masking": 2.0, "accuracy/knowledge_masking": 0.5, "targets/knowledge_masking": 9.0}
    )
    lines = text.split("---\n", 2)[2].splitlines()
    headings = [index for index, line in enumerate(lines) if line.startswith("#")]
    assert len(headings) == 6 and all(not lines[index + 1] and not lines[index - 1] for index in headings)
    assert "{" not in text.partition("## Citation")[0].replace('"{"', "") and "\n\n\n" not in text


def test_the_table_of_stages_shows_what_was_done_and_skipped_steps_are_told(
    card: Callable[..., str], state: State
) -> None:
    text = card()
    assert "| one | 4 | knowledge_masking 1, span_boundary 0 |" in text and "| two | 2 |" in text
    assert "Trained for 6 steps on 12,345 tokens." in text and "changed nothing" not in text
    skipping = replace(state, seen={**state.seen, "skipped": 3.0})
    assert "3 of these steps changed nothing" in card(state=skipping)


def test_the_card_says_which_heads_lie_beside_the_model(card: Callable[..., str], state: State) -> None:
    assert "holds the heads of `span_boundary`, `sentence_reordering`" in card()
    alone = card(state=replace(state, learned=["knowledge_masking"]))
    assert "auxiliary_heads" not in alone and "only task it learned" in alone


def test_a_model_that_never_learned_knowledge_masking_promises_no_masked_lm_head(
    card: Callable[..., str], state: State
) -> None:
    done = [{"name": "one", "steps": 4, "tasks": {"other": {"iterations": 2000}, "more": {"tokens": 10_000_000}}}]
    text = card(
        state=replace(state, learned=["other", "more"], done=done),
        heldout={"loss/other": 1.0, "targets/other": 2.0, "loss/other/far": 3.0},
    )
    assert front(text)["pipeline_tag"] == "feature-extraction" and "knowledge-masking" not in front(text)["tags"]
    assert (
        "fill-mask" not in text
        and "knowledge masking" not in text
        and "AutoModel.from_pretrained" in text
        and "it has no masked-LM head" in text
    )
    assert "| one | 4 | other 2,000 iterations, more 10,000,000 tokens |" in text and "| other/far | 3.000 |" in text


@pytest.mark.parametrize(
    "name", ["no", "a: b # c", 'say "hi"\\', "- x", "名字\u2028\x85|", "{0}", "y\n---\nlicense: mit"]
)
def test_front_matter_stays_yaml_whatever_is_put_into_it(card: Callable[..., str], name: str) -> None:
    text = card(
        name=name, languages=["no", "zh"], licence={"license": name, "license_name": name}, stated=True, base="org/name"
    )
    found = front(text)
    assert (
        found["license"] == found["license_name"] == name
        and found["language"] == ["no", "zh"]
        and found["base_model"] == "org/name"
    )
    assert found["tags"] == ["ernie", "knowledge-masking", "kmask"]


def test_keys_that_nothing_is_known_about_are_left_out(card: Callable[..., str]) -> None:
    text = card(languages=[])
    assert front(text).keys() == {"library_name", "pipeline_tag", "tags"}
    assert (
        "No licence was stated when this model was exported." in text
        and "No held-out measurement was made at step 6." in text
    )


def test_the_licence_of_the_start_checkpoint_is_told_as_its_own(card: Callable[..., str], state: State) -> None:
    source = {"path": "/somewhere/bert-zh", "config": {}}
    text = card(state=replace(state, source=source), licence={"license": "mit"})
    assert (
        "Licence: mit, as stated by the checkpoint it began from (`bert-zh`)." in text
        and "began from the checkpoint `bert-zh`" in text
    )
    assert "Licence: mit." in card(licence={"license": "mit"}, stated=True)


def test_figures_have_a_row_for_each_task_and_unit_and_the_majority_where_there_is_one(
    card: Callable[..., str],
) -> None:
    heldout = {
        f"{name}/{task}": 0.25
        for name in ("loss", "accuracy", "targets")
        for task in ("knowledge_masking", "sentence_reordering", "knowledge_masking/entity")
    }
    text = card(heldout={**heldout, "majority/sentence_reordering": 0.125, "loss/knowledge_masking/entity": None})
    assert (
        "| sentence_reordering | 0.250 | 0.250 | 0.125 | 0 |" in text
        and "| knowledge_masking/entity |  | 0.250 |  | 0 |" in text
    )
    assert "majority" not in card(heldout=heldout)


def test_figures_are_those_of_eval_else_of_the_stage_that_ended_else_none(tmp_path: Path, state: State) -> None:
    assert heldout_figures(tmp_path, state) == {}
    lines = [
        ("evaluation", 6, "two", 1.0),
        ("evaluation", 6, "three", 2.0),
        ("evaluation", 5, "two", 3.0),
        ("train", 6, "two", 4.0),
    ]
    text = "".join(
        json.dumps({"event": event, "step": step, "stage": stage, "loss/word": loss}) + "\n"
        for event, step, stage, loss in lines
    )
    (tmp_path / "metrics.jsonl").write_text(text + '{"event": "evalu')
    assert heldout_figures(tmp_path, state)["loss/word"] == 1.0
    assert heldout_figures(tmp_path, replace(state, step=7)) == {}
    (tmp_path / "evaluation.json").write_text('{"step": 6, "checkpoint": "abc", "loss/word": 5.0}')
    assert heldout_figures(tmp_path, state, "abc")["loss/word"] == 5.0
    assert heldout_figures(tmp_path, state, "of another training")["loss/word"] == 1.0
    (tmp_path / "evaluation.json").write_text('{"step": 5, "loss/word": 5.0}')
    assert heldout_figures(tmp_path, state)["loss/word"] == 1.0
    (tmp_path / "evaluation.json").write_text("[]")
    assert heldout_figures(tmp_path, state)["loss/word"] == 1.0


def test_the_pooler_is_trained_or_that_of_the_source_or_initial(card: Callable[..., str], state: State) -> None:
    untrained = replace(state, seen={**state.seen, "pooled": 0.0})
    assert pooler_origin(state) == "trained" and pooler_origin(untrained) == "initial"
    assert pooler_origin(replace(untrained, source={"path": "x", "config": {}, "pooler": True})) == "source"
    assert pooler_origin(replace(untrained, source={"path": "x", "config": {}, "pooler": False})) == "initial"
    assert "The pooler was trained by 40 targets of sentence-level tasks." in card()
    assert "it holds the weights of the start checkpoint" in card(
        pooler="source"
    ) and "**The pooler was not trained**" in card(pooler="initial")


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/a/b", "nghuyong/ernie-3.0-base-zh", "nghuyong/ernie-3.0-base-zh"),
        ("/a/b", "bert-base-chinese", "bert-base-chinese"),
        ("/a/b", "runs/demo", ""),
        ("/a/b", "/data/bert", ""),
        ("/a/b", "./bert", ""),
        ("/a/b", "a/b/c", ""),
        ("/a/b", "my-model", ""),
        ("/a/b", None, ""),
        ("/c/hub/models--google-bert--bert-base-chinese/snapshots/8f23", "", "google-bert/bert-base-chinese"),
    ],
)
def test_the_base_model_is_named_when_it_has_a_name_on_the_hub(path: str, name: str | None, expected: str) -> None:
    assert base_model({"path": path, "config": {"_name_or_path": name}}) == expected
    assert base_model(NO_SOURCE) == ""


def test_a_licence_is_read_from_the_front_matter_of_the_start_checkpoint(tmp_path: Path) -> None:
    source = {"path": str(tmp_path), "config": {}}
    assert source_licence(source) == source_licence(NO_SOURCE) == {}
    for text, expected in (
        ("---\nlicense: apache-2.0\nlanguage: zh\n---\n# x\nlicense: mit\n", {"license": "apache-2.0"}),
        (
            "---\nlicense: other\nlicense_name: mine\nlicense_link: LICENSE\n---\n",
            {"license": "other", "license_name": "mine", "license_link": "LICENSE"},
        ),
        ("---\nlicense: [mit, gpl]\n---\n", {"license": ["mit", "gpl"]}),
        ("# no front matter\nlicense: mit\n", {}),
        ("---\nlicense: [\n---\n", {}),
        ("---\nlicense: true\n---\n", {}),
    ):
        (tmp_path / "README.md").write_text(text)
        assert source_licence(source) == expected


def test_languages_are_those_of_the_data_by_characters_if_all_folders_are_those_of_the_checkpoint(
    tmp_path: Path, state: State
) -> None:
    (tmp_path / "data").mkdir()
    assert data_languages(state) == []
    counts = {"characters.a.b.zh": 900, "characters.c.en": 2000, "characters.c.fr": 3, "documents.c.de": 9999}
    (tmp_path / "data/manifest.json").write_text(json.dumps({"counts": counts, "fingerprint": "f"}))
    assert data_languages(state) == ["en", "zh"]
    (tmp_path / "data/manifest.json").write_text(json.dumps({"counts": counts, "fingerprint": "another"}))
    assert data_languages(state) == []


def test_the_example_is_in_the_language_of_the_model_and_hides_one_token() -> None:
    assert example(["zh", "en"], ["都"]) == "北京是中国的首[MASK]。"
    assert example(["zh"], ["京"]) == "中国的首都是北[MASK]。"
    assert example(["en"], ["river", "都"]) == "The Nile is the longest [MASK] in Africa."
    assert example(["fr"], ["都", "##s"]) == "北京是中国的首[MASK]。"
    assert example([], ["east", *map(str, range(99))]) == "The sun rises in the [MASK]."
    assert all(example([code], []).count("[MASK]") == 1 for code in ("zh", "en"))


def test_a_state_of_huge_counts_is_still_readable(card: Callable[..., str], state: State) -> None:
    assert "1,234,567,890,123 tokens" in card(state=replace(state, seen={**state.seen, "tokens": 1234567890123.0}))


def test_data_units_and_lexicons_are_those_of_the_prepared_folders_that_are_still_there(
    card: Callable[..., str], state: State, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    assert "| demo |  |  |  | `f` |" in card(folders=folders_of(state))
    counts = {"characters.a.b.zh": 700, "characters.c.en": 300, "units.word.-.segmenter": 5000}
    counts |= {"units.entity.PER.lexicon": 1234, "units.entity.LOC.ner": 7}
    lexicon = {"kind": "lexicon", "level": "entity", "files": ["a" * 64, "b" * 64]}
    settings = {"segmenters": {"zh": {"kind": "rjieba", "version": "rjieba 1"}}, "annotators": [lexicon]}
    shards = [
        {"split": "train", "documents": 1000, "tokens": 99999},
        {"split": "heldout", "documents": 5, "tokens": 50},
    ]
    manifest = {"fingerprint": "f", "counts": counts, "settings": settings, "shards": shards}
    (tmp_path / "data/manifest.json").write_text(json.dumps(manifest))
    text = card(folders=folders_of(state))
    assert "| demo | 1,000 | 99,999 | zh 70%, en 30% | `f` |" in text
    assert "Units in `demo`: word 5,000; entity PER 1,234, LOC 7." in text and "Words by rjieba 1 (zh)." in text
    assert "Lexicons of `demo`: entity from 2 files (sha256 aaaaaaaaaaaa, bbbbbbbbbbbb)." in text


def test_the_papers_are_those_of_what_was_learned(card: Callable[..., str], state: State) -> None:
    assert all(number in card() for number in ("1904.09223", "1907.12412", "1907.10529"))  # three tasks, SBO among them
    alone = card(state=replace(state, learned=["knowledge_masking"]))
    assert "1904.09223" in alone and "1907.12412" not in alone and "1907.10529" not in alone


def test_what_else_lies_in_the_folder_and_how_equal_it_is(card: Callable[..., str], state: State) -> None:
    made = Made(formats=["bert", "onnx"], dtype="bf16", pair_task="nsp", verified={"AutoModel": 1.25e-3})
    text = model_card(Card(**{**card_values(state), "state": state}), made)
    assert "opset 18" in text and "class 0 says that the second segment" in text and "stored as bf16" in text
    assert "AutoModel 1.2e-03" in text or "AutoModel 1.3e-03" in text
    assert "10% of the largest number" in text and "sentence-transformers" not in text
    trained = card(state=replace(state, machine={"processes": 2, "device": "cpu", "torch": "2.13"}))
    assert "- ZeRO 1, fp32, 2 processes, cpu" in trained and "- trained with torch 2.13" in trained
