"""`kmask eval SUITE.yaml`: what is measured, what is not measured again, and what happens to results that are not
whole, not writable, or somebody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bert_folders import write_bert
from toys.first_state import FirstState

from launch.outcomes import suites
from launch.outcomes.suites import is_suite, run_suite
from launch.reports.compared.reading import folders_of, read_results
from pretrain.evaluation.results import Found, Source, load, pieces, save

SUITE = """\
output: {root}/out
models: {{one: {root}/bert, two: {root}/other}}
measures:
  sign: {{kind: toys.first_state, path: {root}/texts.txt, seeds: [1, 2]}}
  size: {{kind: toys.first_state, path: {root}/texts.txt, scale: 0.5}}
"""
ALL = ["one seed-1", "one seed-2", "one seed-1", "two seed-1", "two seed-2", "two seed-1"]


@pytest.fixture(scope="module")
def models(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_bert(root / "bert", prepared / "tokenizer")
    write_bert(root / "other", prepared / "tokenizer", num_hidden_layers=1)
    return root


@pytest.fixture
def root(models: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder with two models, a file of texts and the suite above."""
    for name in ("bert", "other"):
        shutil.copytree(models / name, tmp_path / name)
    (tmp_path / "texts.txt").write_text("北京\n他在工作\nA text\n", encoding="utf-8")
    (tmp_path / "suite.yaml").write_text(SUITE.format(root=tmp_path), encoding="utf-8")
    FirstState.measured.clear()
    yield tmp_path
    FirstState.measured.clear()


def run(root: Path, *overrides: str, dry_run: bool = False) -> list[str]:
    """Run the suite; what it measured."""
    FirstState.measured.clear()
    assert run_suite(root / "suite.yaml", list(overrides), as_json=True, dry_run=dry_run) == 0
    return list(FirstState.measured)


def values(root: Path) -> dict[str, list[float]]:
    results = read_results(folders_of([root / "out"]))
    return {
        f"{model} {measure}": results.values(measure, "square", model)
        for measure in results.measures
        for model in results.folders
    }


def test_everything_is_measured_once_and_never_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_suite(root / "suite.yaml")
    assert run(root, dry_run=True) == []
    assert capsys.readouterr().out.splitlines()[:2] == [
        "would measure one sign seed-1",
        "would measure one sign seed-2",
    ]
    assert not (root / "out").exists()
    assert run(root) == ALL
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["sign", "size"] and list(told["sign"]["positive"]) == ["one", "two"]
    one = told["sign"]["square"]["one"]
    assert one["mean"] == pytest.approx(sum(one["pieces"].values()) / 2) and one["deviation"] > 0
    assert told["size"]["square"]["one"]["deviation"] is None
    before = values(root)
    assert run(root) == [] and values(root) == before
    assert "everything is measured" in (run(root, dry_run=True), capsys.readouterr().out)[1]


def test_a_kill_between_two_pieces_costs_none_that_was_measured(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(root, "measures.sign.stop_at=seed-2")
    assert FirstState.measured == ["one seed-1"] and pieces(root / "out/one/sign") == ["seed-1"]
    with pytest.raises(KeyboardInterrupt):
        run(root, "measures.sign.stop_at=seed-2")
    assert FirstState.measured == []
    assert run(root, "measures.sign.stop_at=seed-3") == ALL  # another setting: all of `sign` is measured again
    assert run(root) == ["one seed-1", "one seed-2", "two seed-1", "two seed-2"]


def test_one_more_seed_leaves_the_others_as_they_are_and_one_less_leaves_them_on_disk(root: Path) -> None:
    run(root)
    assert run(root, "measures.sign.seeds=[1, 2, 10]") == ["one seed-10", "two seed-10"]
    assert pieces(root / "out/one/sign") == ["seed-1", "seed-2", "seed-10"]
    assert run(root) == [] and len(pieces(root / "out/one/sign")) == 3


def test_what_was_measured_from_something_else_is_measured_again_and_older_pieces_go(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(root)
    before = values(root)
    assert run(root, "measures.sign.seeds=[1]", "measures.sign.scale=0.3") == ["one seed-1", "two seed-1"]
    assert "1 piece of older settings removed (seed-2)" in capsys.readouterr().err
    assert pieces(root / "out/one/sign") == ["seed-1"] and list((root / "out/one/sign").glob("seed-2*")) == []
    assert run(root) == ["one seed-1", "one seed-2", "two seed-1", "two seed-2"] and values(root) == before
    (root / "texts.txt").write_text("北京\n他在工作\nAnother text\n", encoding="utf-8")
    assert run(root) == ALL and values(root) != before
    shutil.rmtree(root / "other")
    shutil.copytree(root / "bert", root / "other")
    assert run(root) == [name for name in ALL if name.startswith("two")]
    assert values(root)["one sign"] == values(root)["two sign"]


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.with_suffix(".npz").unlink(),
        lambda file: file.with_suffix(".npz").write_bytes(b""),
        lambda file: file.with_suffix(".npz").write_bytes(file.with_suffix(".npz").read_bytes()[:-30]),
        lambda file: shutil.copy(file.parent.parent / "size/seed-1.npz", file.with_suffix(".npz")),
        lambda file: file.write_text("{"),
        lambda file: file.write_text("[]"),
        lambda file: file.write_text(file.read_text().replace('"ratio"', '"other"')),
        lambda file: file.write_text(file.read_text().replace('"figures"', '"pictures"')),
    ],
)
def test_a_result_that_is_not_whole_is_measured_again(root: Path, harm: object) -> None:
    run(root)
    harm(root / "out/one/sign/seed-1.json")  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"seed-1: not a whole result .* run `kmask eval` again"):
        load(root / "out/one/sign", "seed-1")
    assert any("not a whole result" in line for line in read_results(folders_of([root / "out"])).left_out)
    assert run(root) == ["one seed-1"]
    assert read_results(folders_of([root / "out"])).left_out == []


def test_all_faults_of_models_and_files_are_told_before_anything_is_measured(root: Path) -> None:
    with pytest.raises(ValueError) as caught:
        run(root, f"models.two={root}/none", f"measures.sign.path={root}/no.txt", f"measures.size.path={root}")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and "models.two" in lines[0] and "no such folder" in lines[0]
    assert "measures.sign:" in lines[1] and "No such file" in lines[1] and "measures.size:" in lines[2]
    assert not (root / "out").exists()
    with pytest.raises(ValueError, match=r"measures\.sign, models\.one: model one has no head"):
        run(root, "measures.sign.headless=true")
    shutil.copy(root / "texts.txt", root / "bert/config.json")
    with pytest.raises(ValueError, match=r"models\.one: .*config\.json"):
        run(root)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {../x: a}\nmeasures: {m: {kind: toys.first_state, path: x}}", "'../x' names a folder"),
        ("models: {.tokenizer: a}\nmeasures: {m: {kind: toys.first_state, path: x}}", "'.tokenizer' names a folder"),
        ("models: {x: a}\nmeasures: {a b: {kind: toys.first_state, path: x}}", "'a b' names a folder"),
        ("models: {}\nmeasures: {m: {kind: toys.first_state, path: x}}", "models: at least one"),
        ("models: {x: a}\nmeasures: {}", "measures: at least one"),
        ("models: {x: a}\nmeasures: {m: {kind: guessing}}", "guessing"),
        ("models: {x: a}\nmeasures: {m: {kind: toys.first_state, path: x, seed: 1}}", "seeds"),
    ],
)
def test_a_suite_that_makes_no_sense_is_refused_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "suite.yaml").write_text(f"output: {tmp_path}/out\n{text}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        run_suite(tmp_path / "suite.yaml", [], False, False)


def test_an_output_that_cannot_be_written_is_told_before_anything_is_measured(root: Path) -> None:
    (root / "out").write_text("a file")
    with pytest.raises(OSError, match="out"):
        run(root)
    assert FirstState.measured == []


HOLD = """
import sys, time
from pathlib import Path
from pretrain.processes.lock import held
with held(Path(sys.argv[1]), 0, print, "evaluation"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_model_that_another_process_measures_is_left_to_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "WAIT_SECONDS", 0.0)
    with subprocess.Popen([sys.executable, "-c", HOLD, root / "out/two"], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            with pytest.raises(ValueError, match=rf"out/two: another evaluation .*process {other.pid}"):
                run(root)
            assert FirstState.measured == ALL[:3]
        finally:
            other.kill()
    assert run(root) == ALL[3:]


def test_what_another_process_measured_meanwhile_is_not_measured_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = suites._keep_order

    def meanwhile(suite: object) -> None:
        kept(suite)
        monkeypatch.setattr(suites, "_keep_order", kept)
        run(root)
        FirstState.measured.clear()

    monkeypatch.setattr(suites, "_keep_order", meanwhile)
    assert run_suite(root / "suite.yaml", [], True, False) == 0 and FirstState.measured == []


def test_a_model_that_changes_before_it_is_read_is_not_taken_for_the_old_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = suites.plan
    texts = (root / "bert/vocab.txt").read_text()
    monkeypatch.setattr(
        suites, "plan", lambda *given: (planned(*given), (root / "bert/vocab.txt").write_text(texts + "new\n"))[0]
    )
    with pytest.raises(ValueError, match=r"models\.one: .* has changed since the start"):
        run(root)


def test_a_folder_with_only_a_vocab_txt_is_measured_like_the_whole_one(root: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (root / "other" / name).unlink(missing_ok=True)
    run(root)
    (root / "other" / "tokenizer.json").write_bytes((root / "bert/tokenizer.json").read_bytes())
    found = values(root)
    assert run(root) == ALL[3:] and values(root) == found


def test_results_of_earlier_suites_in_one_folder_stand_behind_those_of_this_one(root: Path) -> None:
    run(root)
    text = SUITE.format(root=root).replace("one: ", "three: ").replace("size: ", "more: ")
    (root / "later.yaml").write_text(text, encoding="utf-8")
    assert run_suite(root / "later.yaml", [], True, False) == 0
    results = read_results(folders_of([root / "out"]))
    assert list(results.folders) == ["three", "two", "one"] and list(results.measures) == ["sign", "more", "size"]
    assert results.paths["three"] == f"{root}/bert"


def test_where_files_lie_is_no_part_of_what_the_examples_are(tmp_path: Path) -> None:
    def source(path: str, **more: object) -> Source:
        settings = {"data": path, "nested": [{"train": f"{path}/a.tsv"}], **more}
        return Source(fingerprint="", settings=settings, files={f"{path}/a.tsv": "1", f"{path}/b.tsv": "2"})

    assert source("x").examples == source("/data/y").examples
    assert source("x", limit=3).examples != source("x").examples
    found = load_saved(tmp_path, source("x"))
    assert found.examples == source("x").examples and load_saved(tmp_path, source("x"), "own").examples == "own"


def load_saved(folder: Path, source: Source, examples: str = "") -> Found:
    save(folder, "all", Found(outcomes={}, examples=examples), source, 1.0)
    return load(folder, "all").found
