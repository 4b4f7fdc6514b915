"""Configuration files -> components: what is accepted, what is refused, and that a refusal says where and what is
meant."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from data_prep.annotators import Annotator
from data_prep.corpora import Corpus
from data_prep.corpora.jsonl import Jsonl
from data_prep.corpora.plain_text import PlainText
from data_prep.engines import Engine
from data_prep.engines.local import Local
from data_prep.preparing.plan import Preparation
from data_prep.segmenters import Segmenter
from data_prep.segmenters.jieba import Jieba
from data_prep.segmenters.pretokenizer import Pretokenizer
from launch.settings.components import decode, field_docs, plain, read_config
from launch.settings.config_classes import config_class, recognise
from launch.settings.kinds import find_kind, kinds
from launch.settings.schema import schema
from launch.settings.yaml_files import ConfigError, load

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [
    file for folder in ("data", "pretrain", "cluster") for file in sorted((ROOT / "configs" / folder).glob("*.yaml"))
]


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A part of Toy."""

    rate: float = 0.5
    """A number."""
    words: list[str] = field(default_factory=list)
    """Some words."""

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate: {self.rate} must not be negative")


@dataclass(frozen=True, kw_only=True)
class Toy:
    """One field of every sort."""

    name: str
    """A text."""
    count: int = 1
    """A whole number."""
    rate: float = 1.0
    """A number."""
    flag: bool = False
    """Yes or no."""
    inner: Inner = field(default_factory=Inner)
    """A part."""
    parts: list[Inner] = field(default_factory=list)
    """Several parts."""
    table: dict[str, Inner] = field(default_factory=dict)
    """Parts by name."""
    maybe: Inner | None = None
    """A part or nothing."""
    limit: int | None = None
    """A number or nothing."""
    segmenter: Segmenter = field(default_factory=lambda: Jieba(hmm=False))
    """A choice with a default."""
    corpora: list[Corpus] = field(default_factory=list)
    """Choices without one."""

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count: {self.count} must not be negative")
        if self.name == "impossible":
            raise ValueError("this toy cannot exist")


@pytest.fixture
def toy(tmp_path: Path) -> Any:
    """Read a Toy from YAML text and overrides."""

    def read(text: str, *overrides: str) -> Toy:
        (tmp_path / "toy.yaml").write_text(text, encoding="utf-8")
        return read_config(Toy, tmp_path / "toy.yaml", list(overrides))

    return read


def refused(toy: Any, text: str, *overrides: str) -> list[str]:
    """The lines of the refusal, without the folder's name."""
    with pytest.raises(ConfigError) as caught:
        toy(text, *overrides)
    return [line.rsplit("toy.yaml:", 1)[-1] if "toy.yaml:" in line else line for line in str(caught.value).splitlines()]


# --- our own files
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_file_in_configs_decodes(file: Path) -> None:
    component = read_config(config_class(file.parent.name), file, [])
    assert recognise(load(file, []).value) == file.parent.name
    assert plain(component)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_plain_values_of_every_file_decode_to_the_same_component(file: Path, tmp_path: Path) -> None:
    cls = config_class(file.parent.name)
    component = read_config(cls, file, [])
    (tmp_path / "again.yaml").write_text(json.dumps(plain(component)))
    again = read_config(cls, tmp_path / "again.yaml", [])
    assert again == component
    assert plain(again) == plain(component)


def described(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every property of a schema with its description."""
    if isinstance(value, dict):
        for name, item in value.get("properties", {}).items():
            if name != "kind" or "const" not in item:
                yield f"{path}.{name}", item.get("description", "")
        for key, item in value.items():
            yield from described(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from described(item, f"{path}[{index}]")


def resolved(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` stands for."""
    for step in node.get("$ref", "#").split("/")[1:]:
        node = whole = whole[step]
    return node


@pytest.mark.parametrize("kind", ["data", "pretrain", "cluster"])
def test_the_schema_is_plain_json_and_describes_every_key(kind: str) -> None:
    result = schema(config_class(kind))
    assert json.loads(json.dumps(result)) == result
    descriptions = list(described(result))
    assert len(descriptions) > 3
    assert [path for path, text in descriptions if not text.strip()] == []


def test_the_schema_lists_required_keys_choices_and_closes_mappings() -> None:
    result = schema(Preparation)

    def choices(node: dict[str, Any]) -> list[Any]:
        """The options of a choice, written in place or under $defs."""
        return resolved(result, node)["anyOf"]

    assert result["required"] == ["output", "corpora"]
    assert result["additionalProperties"] is False
    options = choices(result["properties"]["corpora"]["items"])
    assert [resolved(result, option)["properties"]["kind"]["const"] for option in options[:-1]] == kinds(Corpus)
    assert options[-1] == {"type": "string", "enum": kinds(Corpus)}
    assert len(choices(result["properties"]["segmenters"]["additionalProperties"])) == len(kinds(Segmenter)) + 1


def test_field_docs_are_read_from_the_line_below_each_field_base_classes_included() -> None:
    docs = field_docs(PlainText)
    assert docs["paths"].startswith("Files or glob patterns")
    assert docs["document"].startswith("`file`: one document per file")
    assert set(docs) == {item.name for item in dataclasses.fields(PlainText)}
    assert field_docs(Inner) == {"rate": "A number.", "words": "Some words."}


@pytest.mark.parametrize("base", [Corpus, Segmenter, Annotator, Engine])
def test_the_kinds_of_a_package_are_its_files_and_each_has_one_component(base: type) -> None:
    import importlib

    folder = Path(str(importlib.import_module(base.__module__).__file__)).parent
    assert kinds(base) == sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
    for kind in kinds(base):
        cls = find_kind(base, kind)
        assert cls is not None
        assert issubclass(cls, base)


# --- values
# ---------------------------------------------------------------------------------------------------------------------


def test_values_of_every_sort_arrive(toy: Any) -> None:
    value = toy(
        "name: 江\ncount: 3\nrate: 2\nflag: true\ninner: {rate: 0.1, words: [a, 江]}\nparts:\n  - {rate: 1}\n  - {}\n"
        "table:\n  one: {rate: 3}\nmaybe: {words: [x]}\nlimit: 7\nsegmenter: {kind: jieba}\ncorpora:\n  - {kind: jsonl, paths: [x]}\n"
    )
    assert value == Toy(
        name="江",
        count=3,
        rate=2.0,
        flag=True,
        inner=Inner(rate=0.1, words=["a", "江"]),
        parts=[Inner(rate=1.0), Inner()],
        table={"one": Inner(rate=3.0)},
        maybe=Inner(words=["x"]),
        limit=7,
        segmenter=Jieba(),
        corpora=[Jsonl(paths=["x"])],
    )


def test_a_byte_order_mark_is_ignored(toy: Any) -> None:
    assert toy("\ufeffname: a\n").name == "a"


@pytest.mark.parametrize("text", ["1e-4", "1.0e-4", "0.0001", "1E-4"])
def test_scientific_notation_is_a_number(text: str, toy: Any) -> None:
    value = toy(f"name: a\nrate: {text}\n").rate
    assert isinstance(value, float)
    assert value == 1e-4
    assert toy("name: a\n", f"rate={text}").rate == 1e-4


@pytest.mark.parametrize("text", ["no", "on", "off", "yes", "NO", "y"])
def test_words_that_old_yaml_took_for_true_or_false_are_text(text: str, toy: Any) -> None:
    assert toy(f"name: {text}\n").name == text
    assert toy("name: a\n", f"name={text}").name == text


@pytest.mark.parametrize(("text", "expected"), [("12", "12"), ("1.5", "1.5"), ('"012"', "012"), ("'true'", "true")])
def test_numbers_are_accepted_where_text_is_wanted(text: str, expected: str, toy: Any) -> None:
    assert toy(f"name: {text}\n").name == expected


def test_absent_keys_take_their_defaults_and_a_choice_without_kind_its_default_kind(toy: Any) -> None:
    value = toy("name: a\nsegmenter: {user_words: [w.txt]}\n")
    assert value.segmenter == Jieba(user_words=["w.txt"])
    assert (value.count, value.inner, value.maybe, value.limit) == (1, Inner(), None, None)


def test_a_choice_may_be_written_as_its_name_alone(toy: Any) -> None:
    assert toy("name: a\nsegmenter: pretokenizer\n").segmenter == Pretokenizer()


# --- refusals
# -------------------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one(toy: Any) -> None:
    (line,) = refused(toy, "name: a\n\n# comment\ncuont: 3\n")
    assert line.startswith("4: cuont: unknown key; did you mean `count`?; known keys: name, count, rate")
    (line,) = refused(toy, "name: a\ninner:\n  rate: 1\n  wrods: [a]\n")
    assert line == "4: inner.wrods: unknown key; did you mean `words`?; known keys: rate, words"
    (line,) = refused(toy, "name: a\nparts:\n  - rate: 1\n  - zzz: 1\n")
    assert line == "4: parts.1.zzz: unknown key; known keys: rate, words"


def test_an_unknown_key_of_a_choice_names_the_keys_of_that_choice(toy: Any) -> None:
    (line,) = refused(toy, "name: a\nsegmenter:\n  kind: pretokenizer\n  hmm: true\n")
    assert line.startswith("4: segmenter.hmm: unknown key; known keys: ")


def test_all_errors_of_a_file_are_reported_at_once(toy: Any) -> None:
    lines = refused(
        toy,
        "count: many\nrate: [1]\nflag: 7\nbogus: 1\nparts: [{rate: -1}, {rate: x}]\nsegmenter: jeiba\ncorpora: {}\n",
    )
    assert [line.split(":")[0] for line in lines[:-1]] == ["1", "2", "3", "4", "5", "5", "6", "7"]
    assert lines[-1] == "`name` is missing (A text.)"
    assert "parts.0.rate: -1.0 must not be negative" in lines[4]


@pytest.mark.parametrize("key", ["count", "rate", "limit", "inner.rate"])
def test_true_and_false_are_no_numbers(key: str, toy: Any) -> None:
    (line,) = refused(toy, "name: a\n", f"{key}=true")
    assert line == f"command line: {key}: expected a number, found True"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("count: 1.5", "count: input should be a valid integer"),
        ("count: many", "count: input should be a valid integer"),
        ("flag: 3", "flag: input should be a valid boolean"),
        ("rate: fast", "rate: input should be a valid number"),
        ("rate:", "rate: input should be a valid number (found nothing)"),
        ("name: [a]", "name: input should be a valid string"),
        ("name: true", "name: input should be a valid string (found True)"),
        ("name: 2020-01-01", "name: input should be a valid string"),
        ("inner: 3", "inner: expected `key: value` lines, found 3"),
        ("inner: {words: a}", "inner.words: expected a list, found 'a'"),
        ("inner: {words: [[a]]}", "inner.words.0: input should be a valid string"),
        ("parts: {rate: 1}", "parts: expected a list"),
        ("table: [a]", "table: expected `key: value` lines, found ['a']"),
        ("segmenter: 3", "segmenter: expected a mapping with `kind`, found 3"),
        ("corpora: [{paths: [x]}]", f"corpora.0: `kind` is missing; one of {', '.join(kinds(Corpus))}"),
    ],
)
def test_a_value_of_the_wrong_sort_is_refused_with_its_line(text: str, complaint: str, toy: Any) -> None:
    (line,) = refused(toy, f"# first\n{text}\n" + ("" if text.startswith("name") else "name: a\n"))
    assert line.startswith(f"2: {complaint}")


def test_what_a_component_refuses_is_reported_at_its_key(toy: Any) -> None:
    assert refused(toy, "name: a\ncount: -3\n") == ["2: count: -3 must not be negative"]
    assert refused(toy, "name: a\ninner:\n  rate: -1\n") == ["3: inner.rate: -1.0 must not be negative"]
    assert refused(toy, "name: impossible\n") == ["this toy cannot exist"]


def test_a_missing_key_is_named_with_its_meaning(toy: Any) -> None:
    assert refused(toy, "count: 1\n") == ["`name` is missing (A text.)"]
    (line,) = refused(toy, "name: a\ncorpora:\n  - kind: jsonl\n")
    assert line.startswith("3: corpora.0: `paths` is missing (Files or glob patterns")


def test_an_unknown_kind_lists_the_known_ones_and_the_nearest(toy: Any) -> None:
    (line,) = refused(toy, "name: a\nsegmenter:\n  kind: reijba\n")
    assert (
        line
        == f"3: segmenter.kind: unknown kind 'reijba'; did you mean `rjieba`?; one of {', '.join(kinds(Segmenter))}"
    )
    (line,) = refused(toy, "name: a\nsegmenter: {kind: 5}\n")
    assert "unknown kind 5" in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: a\ncount: 1\nname: b\n", "3: found duplicate key"),
        ("name: a\ninner:\n  rate: 1\n  words: []\n  rate: 2\n", "5: found duplicate key"),
        ("name: a\ncount: [1\n", "3: not valid YAML"),
        ("name: a\n\tcount: 1\n", "2: not valid YAML"),
        ("name: a\n---\nname: b\n", "2: not valid YAML"),
    ],
)
def test_broken_yaml_and_duplicate_keys_are_refused_with_their_line(text: str, line: str, toy: Any) -> None:
    (found,) = refused(toy, text)
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found nothing"),
        ("# only a comment\n", "found nothing"),
        ("- a\n- b\n", "found CommentedSeq"),
        ("words\n", "found str"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(text: str, found: str, toy: Any) -> None:
    (line,) = refused(toy, text)
    assert line.endswith(f"expected `key: value` lines, {found}")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"configuration .*nowhere\.yaml: no such file"):
        load(tmp_path / "nowhere.yaml", [])
    with pytest.raises(ConfigError, match="is a folder; give the YAML file"):
        load(tmp_path, [])
    (tmp_path / "gbk.yaml").write_bytes("name: 江\n".encode("gbk"))
    with pytest.raises(ConfigError, match=r"gbk\.yaml: not UTF-8 \(byte 6\)"):
        load(tmp_path / "gbk.yaml", [])


@pytest.mark.parametrize("content", [b"name: a\x00\n", b"name: \x07b\n"])
def test_control_characters_are_refused_like_other_broken_yaml(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(tmp_path / "toy.yaml", [])


def test_keys_merged_from_an_anchor_are_read(toy: Any) -> None:
    value = toy("name: a\ninner: &x {rate: 0.25}\nmaybe:\n  <<: *x\n  words: [b]\n")
    assert value.maybe == Inner(rate=0.25, words=["b"])


def test_anchors_and_aliases_are_read(toy: Any) -> None:
    assert toy("name: a\ninner: &x {rate: 0.25}\nmaybe: *x\n").maybe == Inner(rate=0.25)


# --- extends
# --------------------------------------------------------------------------------------------------------------------


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "top.yaml"


def test_extends_merges_mappings_and_replaces_lists(tmp_path: Path) -> None:
    top = write(
        tmp_path,
        base="name: base\ncount: 5\ninner: {rate: 0.1, words: [a]}\nparts: [{rate: 1}, {rate: 2}]\n",
        top="extends: base.yaml\nname: top\ninner: {words: [b, c]}\nparts: [{rate: 3}]\n",
    )
    value = read_config(Toy, top, [])
    assert value == Toy(name="top", count=5, inner=Inner(rate=0.1, words=["b", "c"]), parts=[Inner(rate=3.0)])


def test_extends_is_relative_to_the_file_and_keeps_track_of_lines(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "base.yaml").write_text("name: base\ncount: x\n")
    (tmp_path / "deep/top.yaml").write_text("extends: ../base.yaml\nrate: y\n")
    with pytest.raises(ConfigError) as caught:
        read_config(Toy, tmp_path / "deep/top.yaml", [])
    first, second = str(caught.value).splitlines()
    assert "base.yaml:2: count: " in first
    assert "top.yaml:2: rate: " in second


def test_extends_reaches_one_level(tmp_path: Path) -> None:
    top = write(tmp_path, a="name: a\n", b="extends: a.yaml\n", top="extends: b.yaml\n")
    with pytest.raises(ConfigError, match=r"b\.yaml:1: `extends` reaches one level only"):
        load(top, [])


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        load(write(tmp_path, top="extends: nowhere.yaml\n"), [])


def test_another_kind_discards_the_keys_of_the_old_one(tmp_path: Path) -> None:
    base = "name: a\nsegmenter: {kind: jieba, hmm: false, user_words: [w.txt]}\n"
    value = read_config(
        Toy, write(tmp_path, base=base, top="extends: base.yaml\nsegmenter: {kind: pretokenizer}\n"), []
    )
    assert value.segmenter == Pretokenizer()
    value = read_config(Toy, write(tmp_path, top="extends: base.yaml\nsegmenter: {kind: jieba, hmm: true}\n"), [])
    assert value.segmenter == Jieba(hmm=True, user_words=["w.txt"])
    value = read_config(Toy, tmp_path / "base.yaml", ["segmenter.kind=pretokenizer"])
    assert value.segmenter == Pretokenizer()


# --- overrides
# ------------------------------------------------------------------------------------------------------------------


def test_overrides_reach_into_mappings_and_list_items(toy: Any) -> None:
    value = toy(
        "name: a\nparts: [{rate: 1}, {rate: 2}]\n",
        "count=4",
        "inner.words=[x, y]",
        "parts.1.rate=9",
        "table.new.rate=0.5",
        "corpora=[{kind: jsonl, paths: [p]}]",
    )
    assert value == Toy(
        name="a",
        count=4,
        inner=Inner(words=["x", "y"]),
        parts=[Inner(rate=1.0), Inner(rate=9.0)],
        table={"new": Inner(rate=0.5)},
        corpora=[Jsonl(paths=["p"])],
    )


def test_later_overrides_win_and_values_may_hold_equal_signs(toy: Any) -> None:
    assert toy("name: a\n", "name=b", "name=c=d").name == "c=d"
    assert toy("name: a\n", "name=").name == ""


def test_overrides_of_a_choice_keep_or_discard_its_keys(toy: Any) -> None:
    text = "name: a\nsegmenter: {kind: jieba, hmm: false}\n"
    assert toy(text, "segmenter.user_words=[w]").segmenter == Jieba(hmm=False, user_words=["w"])
    assert toy(text, "segmenter=pretokenizer").segmenter == Pretokenizer()
    assert toy("name: a\n", "segmenter.hmm=true").segmenter == Jieba(hmm=True)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("count", "override 'count': write it as dotted.key=value"),
        ("=3", "override '=3': write it as dotted.key=value"),
        ("parts.2.rate=1", "command line: item 2 does not exist, the list has 2 item(s)"),
        ("cuont=3", "command line: cuont: unknown key; did you mean `count`?"),
        ("count=x", "command line: count: input should be a valid integer"),
        ("inner.words=[a", "command line inner.words:1: not valid YAML"),
        ("inner.words.0=a", "command line: inner.words: expected a list"),
    ],
)
def test_an_override_that_cannot_be_right_is_refused(override: str, complaint: str, toy: Any) -> None:
    (line,) = refused(toy, "name: a\nparts: [{rate: 1}, {rate: 2}]\n", override)
    assert line.startswith(complaint)


# --- a module of the user's
# -----------------------------------------------------------------------------------------------------

CSV = '''"""A user's reader."""
from dataclasses import dataclass
from data_prep.corpora import LineCorpus
from data_prep.documents import Record

@dataclass(frozen=True, kw_only=True)
class Csv(LineCorpus):
    """Comma-separated text."""

    column: int = 0
    """Which column holds the text."""

    def starts_document(self, line, previous):
        return True

    def parse(self, raw, place, source):
        return Record(raw.decode().split(",")[self.column], f"{source}:{place.line}", "", "", place)
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package of the user's on the path; the name differs for each test, since modules are cached."""
    name = f"mine_{abs(hash(request.node.name))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "csv_reader.py").write_text(CSV)
    (tmp_path / name / "empty.py").write_text("")
    (tmp_path / name / "needs.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_dotted_kind_is_a_module_of_the_users(package: str, toy: Any, tmp_path: Path) -> None:
    value = toy(f"name: a\ncorpora:\n  - {{kind: {package}.csv_reader, paths: [{tmp_path}/x.csv], column: 1}}\n")
    (corpus,) = value.corpora
    assert (type(corpus).__name__, corpus.column) == ("Csv", 1)
    (tmp_path / "x.csv").write_text("a,b\nc,d\n")
    (piece,) = corpus.survey(tmp_path / "x.csv", 100).slices
    assert [record.text.strip() for record in corpus.read(piece)] == ["b", "d"]
    assert plain(corpus)["kind"] == f"{package}.csv_reader"
    (tmp_path / "again.yaml").write_text(json.dumps(plain(value)))
    assert read_config(Toy, tmp_path / "again.yaml", []) == value


def test_a_dotted_kind_checks_keys_like_any_other(package: str, toy: Any) -> None:
    (line,) = refused(toy, f"name: a\ncorpora:\n  - kind: {package}.csv_reader\n    paths: [x]\n    colum: 1\n")
    assert line.startswith("5: corpora.0.colum: unknown key; did you mean `column`?")


def test_a_dotted_kind_that_does_not_exist_is_unknown(package: str, toy: Any) -> None:
    for kind in (f"{package}.nothing", "no_such_package.reader"):
        (line,) = refused(toy, f"name: a\ncorpora: [{{kind: {kind}, paths: [x]}}]\n")
        assert f"unknown kind '{kind}'" in line


def test_a_dotted_kind_that_lacks_a_package_or_a_component_says_so(package: str, toy: Any) -> None:
    (line,) = refused(toy, f"name: a\ncorpora: [{{kind: {package}.needs, paths: [x]}}]\n")
    assert "needs the package 'a_package_that_is_not_there', which is not installed" in line
    (line,) = refused(toy, f"name: a\ncorpora: [{{kind: {package}.empty, paths: [x]}}]\n")
    assert "must define exactly one concrete Corpus, it defines 0" in line


def test_a_kind_that_begins_with_a_dot_is_unknown(toy: Any) -> None:
    (line,) = refused(toy, "name: a\nsegmenter: {kind: .jieba}\n")
    assert "unknown kind '.jieba'" in line


# --- plain
# ----------------------------------------------------------------------------------------------------------------------


def test_plain_values_round_trip(toy: Any, tmp_path: Path) -> None:
    value = Toy(
        name="江",
        parts=[Inner(rate=0.25), Inner(words=["a"])],
        table={"x": Inner()},
        maybe=Inner(rate=3.0),
        segmenter=Jieba(user_words=["w"]),
        corpora=[PlainText(paths=["a"], document="line"), Jsonl(paths=["b"])],
    )
    result = plain(value)
    assert json.loads(json.dumps(result)) == result
    assert result["corpora"][0] == {
        "kind": "plain_text",
        "paths": ["a"],
        "source": "",
        "language": "",
        "encoding": "utf-8",
        "document": "line",
    }
    assert toy(json.dumps(result, ensure_ascii=False)) == value


def test_plain_values_of_a_whole_preparation_round_trip(tmp_path: Path) -> None:
    value = Preparation(output="o", corpora=[Jsonl(paths=["x"])], engine=Local(workers=3), heldout=0.5)
    (tmp_path / "x.yaml").write_text(json.dumps(plain(value)))
    assert decode(Preparation, load(tmp_path / "x.yaml", [])) == value
