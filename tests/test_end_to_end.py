"""The whole way through the command line, and bad input at every door of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import commands
import pytest
from tiny import ROOT, TINY_RUN

Kmask = Callable[..., subprocess.CompletedProcess[str]]


def data_yaml(tmp_path: Path, corpus: Path) -> Path:
    file = tmp_path / "data.yaml"
    file.write_text(
        f"output: {tmp_path / 'data'}\n"
        f"corpora: [{{kind: jsonl, paths: ['{corpus}']}}]\n"
        "annotators:\n"
        f"  - {{kind: lexicon, level: entity, paths: ['{ROOT}/examples/lexicons/entities.zh.tsv', '{ROOT}/examples/lexicons/entities.en.tsv']}}\n"
        f"  - {{kind: lexicon, level: phrase, paths: ['{ROOT}/examples/lexicons/phrases.zh.txt', '{ROOT}/examples/lexicons/phrases.en.txt']}}\n"
        "vocabulary: {size: 2000}\nheldout: 0.1\nengine: {workers: 1}\n",
        encoding="utf-8",
    )
    return file


def corpus_with_bad_lines(tmp_path: Path) -> Path:
    good = [
        line
        for name in ("zh", "en")
        for line in (ROOT / f"examples/corpus/{name}.jsonl").read_bytes().splitlines()[:25]
    ]
    bad = [b"{not json", b'{"id": "x"}', b'{"text": ""}', b'{"text": "\xff\xfe"}', b"[1, 2]"]
    file = tmp_path / "corpus.jsonl"
    file.write_bytes(b"\n".join([*good[:3], *bad, *good[3:]]) + b"\n")
    return file


def test_prepare_train_kill_continue_eval_export(kmask: Kmask, tmp_path: Path) -> None:
    """Preparation and the run that goes on after the kill are started as a user starts them, with their workers and
    ranks."""
    prepared = kmask("prepare", data_yaml(tmp_path, corpus_with_bad_lines(tmp_path)), started=True)
    assert prepared.returncode == 3 and "Traceback" not in prepared.stderr
    assert "5 document(s) set aside" in prepared.stderr and "corpus.jsonl:4: not JSON" in prepared.stderr
    rejected = [json.loads(line) for line in (tmp_path / "data/rejected.jsonl").read_text().splitlines()]
    assert [item["line"] for item in rejected] == [4, 5, 6, 7, 8]
    assert [item["reason"] for item in rejected] == [
        "not JSON",
        "no text",
        "no text",
        "invalid UTF-8",
        "not a JSON object",
    ]
    manifest = json.loads((tmp_path / "data/manifest.json").read_text())
    assert sum(shard["documents"] for shard in manifest["shards"]) == 50

    run = tmp_path / "run.yaml"
    run.write_text(TINY_RUN.format(output=tmp_path / "run", data=tmp_path / "data"), encoding="utf-8")
    settings = ("stages.0.steps=20", "stages.1.steps=10")
    saves = tmp_path / "run/checkpoints"
    commands.killed("train", run, *settings, "--processes", 1, when=lambda: list(saves.glob("step-*")))
    trained = kmask("train", run, *settings, "--processes", 1, started=True)
    assert trained.returncode == 0 and "continuing at step" in trained.stderr, trained.stderr
    steps = [
        json.loads(line)["step"]
        for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()
        if '"train"' in line
    ]
    assert steps == list(range(1, 31))

    measured = kmask("eval", run, *settings)
    assert measured.returncode == 0 and "entity" in measured.stdout and "sentence_reordering" in measured.stdout, (
        measured.stderr
    )
    exported = kmask("export", tmp_path / "run", tmp_path / "model")
    assert exported.returncode == 0 and "largest logit difference" in exported.stdout, exported.stderr
    assert "pooler was trained" in (tmp_path / "model/README.md").read_text()
    again = kmask("export", tmp_path / "run", tmp_path / "model")
    assert again.returncode == 2 and "exists already" in again.stderr
    example = "import runpy; runpy.run_path('examples/fill_mask.py', run_name='__main__')"
    tried = commands.script(example, tmp_path / "model", tmp_path / "data")
    assert tried.returncode == 0 and "wholly right" in tried.stdout and "untrained" in tried.stdout, tried.stderr


def test_show_draws_every_view_in_the_terminal_and_as_a_page(
    kmask: Kmask, prepared: Path, tiny_run: Path, tmp_path: Path
) -> None:
    document = kmask("show", "document", prepared, "--number", 1)
    assert document.returncode == 0 and "[LOC " in document.stdout and "黄河" in document.stdout, document.stderr
    batch = kmask("show", "batch", tiny_run, "--number", 5, "--html", tmp_path / "batch.html")
    assert batch.returncode == 0 and "→M" in batch.stdout and "SBO: " in batch.stdout, batch.stderr
    page = (tmp_path / "batch.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and 'class="s-mask"' in page and "http" not in page
    schedule = kmask("show", "schedule", tiny_run)
    assert schedule.returncode == 0 and "sentence_reordering" in schedule.stdout and "new" in schedule.stdout
    shard = kmask("show", "shard", prepared)
    assert shard.returncode == 0 and "train.arrow" in shard.stdout
    beyond = kmask("show", "document", prepared, "--number", 9999)
    assert beyond.returncode == 2 and "numbered from 0" in beyond.stderr


def test_the_batch_that_show_draws_is_the_batch_that_training_sees(tiny_run: Path) -> None:
    from launch.settings.components import read_config
    from launch.views.batch import cursors_at
    from pretrain.config import Run
    from pretrain.corpus import Corpus
    from pretrain.feed.sampling import Cursor, Sampler
    from pretrain.stages.schedule import position

    run = read_config(Run, tiny_run, [])
    corpus = Corpus(run=run)
    cursors: dict[str, Cursor] = {}
    for step in range(8):
        where = position(run.stages, step)
        if where.step == 0:
            cursors = {name: cursor._replace(served=0) for name, cursor in cursors.items()}
        assert cursors_at(run, corpus, step) == cursors
        sampler = Sampler(streams=corpus.streams(run.stages[where.stage], "train"), rows_per_step=4)
        _, cursors = sampler.step(cursors)


@pytest.mark.parametrize("recipe", ["zh", "en", "continue"])
def test_init_writes_recipes_that_decode(kmask: Kmask, prepared: Path, tmp_path: Path, recipe: str) -> None:
    from data_prep.preparing.plan import Preparation
    from launch.settings.components import read_config
    from pretrain.config import Run

    done = kmask("init", recipe, tmp_path / "my")
    assert done.returncode == 0 and "kmask prepare" in done.stdout
    checkpoint = [f"vocabulary.path={prepared / 'tokenizer'}"] if recipe == "continue" else []
    data = read_config(Preparation, tmp_path / "my/data.yaml", checkpoint)
    run = read_config(Run, tmp_path / "my/pretrain.yaml", [])
    assert (
        run.output == "runs/my/run" and run.data[0].path == data.output == "runs/my/data" and run.data[0].name == "my"
    )
    for kind in ("data", "pretrain"):  # recipe and schema name each other
        assert (
            (tmp_path / f"my/{kind}.yaml")
            .read_text()
            .startswith(f"# yaml-language-server: $schema={kind}.schema.json\n")
        )
        schema = json.loads((tmp_path / f"my/{kind}.schema.json").read_text())
        assert (
            f"# yaml-language-server: $schema={kind}.schema.json" in schema["$comment"]
            and "output" in schema["properties"]
        )
    again = kmask("init", recipe, tmp_path / "my")
    assert again.returncode == 2 and "exists already" in again.stderr


@pytest.mark.parametrize(
    ("folder", "name"), [("laws", "laws"), ("a: b #1", "a-b-1"), ("法律 2", "法律-2"), ("x/.hidden", "hidden")]
)
def test_a_recipe_names_its_outputs_after_its_folder(folder: str, name: str, tmp_path: Path) -> None:
    from data_prep.preparing.plan import Preparation
    from launch.settings.components import read_config
    from launch.settings.recipes import write_recipe
    from pretrain.config import Run

    write_recipe("zh", tmp_path / folder, False)
    assert read_config(Preparation, tmp_path / folder / "data.yaml", []).output == f"runs/{name}/data"
    run = read_config(Run, tmp_path / folder / "pretrain.yaml", [])
    assert (run.output, run.data[0].path, run.data[0].name) == (f"runs/{name}/run", f"runs/{name}/data", name)


def test_dry_runs_start_and_write_nothing(kmask: Kmask, tiny_run: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    dry = kmask("train", tiny_run, "--dry-run", "--processes", 2)
    assert dry.returncode == 0 and "RANK=1" in dry.stdout and dry.stdout.count("launch.cli train") == 2
    hosts = tmp_path / "hosts"
    hosts.write_text("a slots=2\nb slots=2\n")
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text(f"kind: hostfile\npath: {hosts}\n")
    dry = kmask("launch", cluster, tiny_run, "--dry-run")
    assert dry.returncode == 0 and "--hostfile" in dry.stdout and "--master_addr a" in dry.stdout
    hosts.write_text("a slots=2\na four\n")
    broken = kmask("launch", cluster, tiny_run, "--dry-run")
    assert broken.returncode == 2 and "hosts:2" in broken.stderr
    hosts.unlink()
    cluster.unlink()
    assert sorted(tmp_path.rglob("*")) == before


def test_the_help_reads_like_a_table_of_contents() -> None:
    text = commands.run("--help", started=True).stdout
    for verb in ("init", "prepare", "show", "train", "eval", "export", "launch", "doctor", "bench", "config"):
        assert verb in text


def test_doctor_says_ready(kmask: Kmask) -> None:
    done = kmask("doctor")
    assert done.returncode == 0 and "ready" in done.stdout, done.stdout
    assert any(f"precision     auto means {name} here: " in done.stdout for name in ("bf16", "fp32"))


def test_shards_of_another_tokenizer_are_refused(kmask: Kmask, prepared: Path, tiny_run: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    file = copy / "tokenizer/tokenizer.json"
    file.write_text(file.read_text().replace('"##s"', '"##_s"'))
    done = kmask("train", tiny_run, f"data.0.path={copy}", "--processes", 1)
    assert done.returncode == 2 and "another tokenizer" in done.stderr and "Traceback" not in done.stderr


def test_a_lexicon_with_a_malformed_line_stops_preparation_with_file_and_line(kmask: Kmask, tmp_path: Path) -> None:
    lexicon = tmp_path / "terms.tsv"
    lexicon.write_text("北京\tLOC\n上海\tLOC\textra\n", encoding="utf-8")
    done = kmask("prepare", data_yaml(tmp_path, ROOT / "examples/corpus/zh.jsonl"), f"annotators.0.paths=['{lexicon}']")
    assert (
        done.returncode == 2
        and "terms.tsv:2" in done.stderr
        and "on_malformed: skip" in done.stderr
        and "Traceback" not in done.stderr
    )
    assert not (tmp_path / "data").exists()
