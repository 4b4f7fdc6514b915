"""Words that a vocabulary gains: their rows begin as the mean of their pieces, and every other row stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_beginning import Runs
from test_trainer import bert_folder

from data_prep.documents import Document
from data_prep.encoding import Tokenizer
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.vocabularies.vocabulary_extension import extend
from launch.settings.components import decode, load
from pretrain.processes.world import World
from pretrain.state.new_words import NewWords, grown

WORDS = "ernie.embeddings.word_embeddings.weight"
BIAS = "heads.knowledge_masking.bias"
TASKS = ("tasks={knowledge_masking: {kind: knowledge_masking}, prefix: {kind: prefix_lm}}",)
SETTINGS = (
    "stages=[{name: one, steps: 2, tasks: {knowledge_masking: 1}}]",
    "batch.rows_per_process=4",
    "evaluation.every=2",
    "optimization.lr=1e-9",
    "masking={strategy: {kind: whole_unit, units: [word]}}",
)
NEW = ["民法典", "kubelet", "##qzx", "龘"]


@pytest.fixture(scope="module")
def folders(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Tokenizers: that of the example corpus with two [unusedN] rows, and it with NEW words."""
    place = tmp_path_factory.mktemp("words")
    tokens = Tokenizer(folder=prepared / "tokenizer").tokens
    (place / "txt").mkdir()
    lines = [*tokens[:5], "[unused1]", "[unused2]", *tokens[5:]]
    (place / "txt/vocab.txt").write_text("".join(f"{token}\n" for token in lines), encoding="utf-8")
    extend(place / "txt", place / "old", [])
    done = extend(place / "old", place / "new", NEW)
    assert list(done.added.values()) == [5, 6, len(lines), len(lines) + 1]
    return place / "old", place / "new"


def corpus(place: Path, tokenizer: Path) -> Path:
    """A prepared folder of texts full of the new words."""
    lines = [{"id": str(n), "text": f"第{n}条：民法典规定，龘字 kubelet 的 fooqzx 含义。" * 3} for n in range(60)]
    (place / "zh.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (place / "data.yaml").write_text(
        f"output: {place / 'data'}\ncorpora: [{{kind: jsonl, paths: [{place / 'zh.jsonl'}], language: zh}}]\n"
        f"vocabulary: {{path: {tokenizer}}}\nengine: {{kind: local, workers: 1}}\nheldout: 0.2\n",
        encoding="utf-8",
    )
    prepare(decode(Preparation, load(place / "data.yaml", [])), lambda progress: None)
    return place / "data"


@pytest.fixture(scope="module")
def shards(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("shards"), folders[1])


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path, world: World) -> Runs:
    return Runs(tiny_run, tmp_path, world)


def data(folder: Path) -> str:
    return f"data=[{{path: {folder}, name: demo}}]"


def wanted(table: torch.Tensor, folders: tuple[Path, Path]) -> torch.Tensor:
    """The table with rows for NEW, by hand."""
    old = Tokenizer(folder=folders[0])
    ids = {token: index for index, token in enumerate(old.tokens)}
    pieces = [
        [ids[character] for character in "民法典"],
        old.encode(Document(id="", language="", text="kubelet", title="", source=""))[0].tolist(),
        [ids[f"##{character}"] for character in "qzx"],
        [ids["[UNK]"]],
    ]
    assert len(pieces[1]) > 1
    found = torch.cat([table, torch.zeros(2, *table.shape[1:])])
    for index, own in zip([5, 6, len(table), len(table) + 1], pieces, strict=True):
        found[index] = sum(table[piece] for piece in own) / len(own)  # type: ignore[assignment]
    return found


def test_only_an_extension_has_new_words(folders: tuple[Path, Path]) -> None:
    old, new = (Tokenizer(folder=folder) for folder in folders)
    words = NewWords.between(old.tokens, new)
    assert words is not None and list(words.tokens) == NEW and words.rows == len(old.tokens) + 2
    same = NewWords.between(new.tokens, new)
    assert same is not None and not same.tokens
    assert NewWords.between([*new.tokens, "later"], new) == same
    assert NewWords.between([*old.tokens[:20], *reversed(old.tokens[20:])], new) is None
    assert NewWords.between(new.tokens, old) is None  # 民法典 would be lost


def test_moments_of_new_rows_are_those_of_rows_that_join() -> None:
    words = NewWords(pieces={1: [0], 3: [0, 2]}, rows=4)
    tensors = {name: torch.tensor([[2.0], [50.0], [4.0]]) for name in ("t", "t#exp_avg", "t#exp_avg_sq", "other")}
    found = grown({**tensors, "t#step": torch.tensor(7)}, words, ["t"])
    assert found["t"].tolist() == [[2], [2], [4], [3]]
    assert found["t#exp_avg"].tolist() == [[2], [0], [4], [0]]
    assert found["t#exp_avg_sq"].tolist() == [[2], [3], [4], [3]]
    alike = NewWords(pieces={3: [1], 4: [1], 5: [0]}, rows=6)
    bias, logits = alike.table(torch.tensor([1.0, 2.0, 3.0])), torch.tensor([1.0, 2.0, 3.0]).exp()
    assert torch.allclose(bias[3:].exp(), torch.stack([logits[1] / 2, logits[1] / 2, logits[0]]))  # 3 and 4 share
    assert found["t#step"] == 7 and torch.equal(found["other"], tensors["other"])


def test_a_bert_gains_the_words_of_the_shards_and_its_export_knows_them(
    runs: Runs, folders: tuple[Path, Path], shards: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    old, new = (Tokenizer(folder=folder) for folder in folders)
    start = bert_folder(tmp_path / "bert", old.tokens)
    told = runs.train("run", *TASKS, *SETTINGS, data(shards), f"model.path={start}")
    assert "4 new words in the vocabulary (民法典 kubelet ##qzx 龘) begin as the mean of their pieces" in told
    before, after = load_file(start / "model.safetensors"), runs.tensors("run")
    table = wanted(before["bert.embeddings.word_embeddings.weight"], folders)
    bias = wanted(before["cls.predictions.bias"], folders)
    assert torch.allclose(after[WORDS], table, atol=1e-6) and torch.allclose(after[BIAS], bias, atol=1e-6)
    export = runs.folder / runs.export("run")
    theirs = AutoTokenizer.from_pretrained(export)
    text = "民法典第一条 Kubelet fooqzx 龘。"
    ids = new.encode(Document(id="", language="", text=text, title="", source=""))[0].tolist()
    assert theirs(text).input_ids[1:-1] == ids and {5, 6} < set(ids)
    assert (export / "vocab.txt").read_text(encoding="utf-8").splitlines() == new.tokens
    model = AutoModelForMaskedLM.from_pretrained(export)
    assert model.config.vocab_size == len(new.tokens) == model(**theirs(text, return_tensors="pt")).logits.shape[-1]


def test_a_run_that_goes_on_with_more_words_keeps_every_old_row(
    runs: Runs, folders: tuple[Path, Path], shards: Path, tmp_path: Path
) -> None:
    old = corpus(tmp_path, folders[0])
    runs.train("first", *TASKS, *SETTINGS, data(old))
    keep = ("model.optimizer=keep", f"model.path={runs.folder / 'first'}")
    told = runs.train("more", *TASKS, *SETTINGS, data(shards), *keep)
    assert "4 new words" in told
    before, after = runs.tensors("first"), runs.begun("more")
    for name in (WORDS, BIAS):
        assert torch.allclose(after[name], wanted(before[name], folders), atol=1e-6)
        kept = [index for index in range(len(before[name])) if index not in (5, 6)]
        assert torch.equal(after[name][kept], before[name][kept])
        moment, square = after[f"{name}#exp_avg"], after[f"{name}#exp_avg_sq"]
        assert not moment[[5, 6, -2, -1]].any() and torch.equal(moment[kept], before[f"{name}#exp_avg"][kept])
        assert torch.allclose(square[-1], before[f"{name}#exp_avg_sq"][kept].mean(0))
    still = [name for name in before if "#" not in name and name not in (WORDS, BIAS)]
    assert all(torch.equal(before[name], after[name]) for name in still)
    assert runs.found("more").state.encoder["vocab_size"] == len(after[WORDS]) == len(before[WORDS]) + 2


def test_shards_of_a_vocabulary_that_lost_words_are_refused(
    runs: Runs, folders: tuple[Path, Path], shards: Path, tmp_path: Path
) -> None:
    start = bert_folder(tmp_path / "bert", Tokenizer(folder=folders[1]).tokens)
    old = corpus(tmp_path, folders[0])
    with pytest.raises(ValueError, match=r"another vocabulary than the shards .* what `kmask vocab extend` made of it"):
        runs.train("run", *SETTINGS, data(old), f"model.path={start}")
