"""The rules of DESIGN.md sections 1, 3 and 4 that a reader can see in the source, checked in the source: imports,
names, docs, sizes.

Nothing is imported from the project; every file is parsed. A rule that a file breaks today stands in one of the KNOWN
tables, as an expected failure: mend the file and the test asks for the entry to be removed.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("data_prep", "masking", "pretrain", "launch")
PLUGIN_FOLDERS = (
    "corpora",
    "languages",
    "segmenters",
    "annotators",
    "engines",
    "strategies",
    "objectives",
    "architectures",
    "adapters",
    "methods",
    "sinks",
    "backends",
    "measures",
    "tasks",
    "heads",
    "questions",
    "formats",
)
HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "jieba",
    "rjieba",
    "spacy",
    "datasets",
    "pyarrow",
    "wandb",
    "deepspeed",
    "numba",
)
FILES = sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

IMPORTERS = ("importlib.import_module", "import_module", "__import__")
LONGEST_MODULE = 250
LONGEST_FUNCTION = 45
COMPILED = ("masking/kernels.py", "data_prep/kernels.py", "pretrain/feed/kernels.py")
"""Compiled loops live in one file a package and cannot be divided into small functions without cost: exempt from both
limits."""

FLOORS = (
    "masking",
    "masking/strategies",
    "data_prep",
    "data_prep/inputs",
    "data_prep/corpora",
    "data_prep/cleaning",
    "data_prep/word_lists",
    "data_prep/segmenters",
    "data_prep/languages",
    "data_prep/tagging",
    "data_prep/annotators",
    "data_prep/annotating",
    "data_prep/engines",
    "data_prep/running",
    "data_prep/filtering",
    "data_prep/vocabularies",
    "data_prep/counting",
    "data_prep/discourse",
    "data_prep/preparing",
    "pretrain/processes",
    "pretrain/metrics",
    "pretrain/sinks",
    "pretrain/feed",
    "pretrain/network/architectures",
    "pretrain/network/adapters",
    "pretrain/network",
    "pretrain/forward",
    "pretrain/objectives",
    "pretrain/state",
    "pretrain/formats",
    "pretrain/evaluation",
    "pretrain/evaluation/readers",
    "pretrain/evaluation/tasks",
    "pretrain/evaluation/heads",
    "pretrain/evaluation/tuning",
    "pretrain/evaluation/questions",
    "pretrain/evaluation/probing",
    "pretrain/evaluation/measures",
    "pretrain/stages",
    "pretrain/methods",
    "pretrain",
    "pretrain/leaks",
    "pretrain/collating",
    "launch/shell",
    "launch/backends",
    "launch/settings",
    "launch/views",
    "launch/views/masks",
    "launch/reports",
    "launch/reports/prepared",
    "launch/reports/run",
    "launch/reports/compared",
    "launch/cluster",
    "launch/preparing",
    "launch/manual",
    "launch/processes",
    "launch/outcomes",
    "launch/machine",
    "launch/verbs",
    "launch",
)
"""Every folder with code, lowest first: a file imports from its own floor and from lower ones, lazily too."""

KNOWN_FILE_CIRCLES: tuple[tuple[str, ...], ...] = ()
KNOWN_FOLDER_CIRCLES: tuple[tuple[str, ...], ...] = ()
"""Circles of today, sorted. Mend one and its test asks for the entry to be removed."""

MAY_IMPORT = {
    "masking": ("masking",),
    "data_prep": ("data_prep", "masking.keyed"),
    "pretrain": (
        "pretrain",
        "masking",
        *(
            f"data_prep.{name}"
            for name in ("shard", "shards", "encoding", "files", "code_points", "word_lists.similar_pairs")
        ),
    ),
    "launch": PACKAGES,
}


class Import(NamedTuple):
    """One imported module, as far as the file system knows it."""

    module: str
    line: int
    at_import: bool
    """Does it run when the file is imported (and not inside a function or under TYPE_CHECKING)?"""


@functools.cache
def tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), file)


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


@functools.cache
def imports(file: str) -> list[Import]:
    """Every module that ``file`` imports, ``importlib.import_module("...")`` included."""

    def found(node: ast.AST, at_import: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(inner if is_module(inner) else node.module, node.lineno, at_import)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in IMPORTERS
            and isinstance(node.args[0], ast.Constant)
        ):
            yield Import(str(node.args[0].value), node.lineno, at_import)
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        deferred = deferred or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for child in ast.iter_child_nodes(node):
            yield from found(child, at_import and not deferred)

    return list(found(tree(file), True))


def inside(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def package_of(file: str) -> str:
    return file.partition("/")[0]


def each(files: Collection[str]) -> Callable[[Callable[[str], None]], Callable[[], None]]:
    """Ask the same of each of these files, in one test that names all that fail: five thousand tests would cost more
    than what they do."""

    def one_test(check: Callable[[str], None]) -> Callable[[], None]:
        def test() -> None:
            failed = {}
            for file in files:
                try:
                    check(file)
                except AssertionError as error:
                    failed[file] = str(error)
            assert not failed, "\n".join(f"{file}: {words}" for file, words in failed.items())

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return one_test


every_file = each(FILES)


def test_there_are_files_to_check() -> None:
    assert {package_of(file) for file in FILES} == set(PACKAGES)
    assert "masking/kernels.py" in FILES


@every_file
def test_a_package_imports_only_the_packages_below_it(file: str) -> None:
    ours = [item for item in imports(file) if inside(item.module, PACKAGES)]
    wrong = [
        f"{file}:{item.line} imports {item.module}"
        for item in ours
        if not inside(item.module, MAY_IMPORT[package_of(file)])
    ]
    assert not wrong, wrong


@every_file
def test_an_imported_module_of_ours_exists(file: str) -> None:
    missing = [
        f"{file}:{item.line} imports {item.module}"
        for item in imports(file)
        if inside(item.module, PACKAGES) and not is_module(item.module)
    ]
    assert not missing, missing


@pytest.mark.parametrize(
    ("library", "home"), [("numba", COMPILED), ("deepspeed", ("pretrain/engine.py", "pretrain/optimizer_state.py"))]
)
def test_a_library_with_one_home_is_imported_nowhere_else(library: str, home: str) -> None:
    users = {file for file in FILES for item in imports(file) if inside(item.module, (library,))}
    assert users == set(home)


@each([file for file in FILES if package_of(file) != "pretrain" and file not in COMPILED])
def test_heavy_libraries_are_imported_inside_functions(file: str) -> None:
    wrong = [
        f"{file}:{item.line} imports {item.module}"
        for item in imports(file)
        if item.at_import and inside(item.module, HEAVY)
    ]
    assert not wrong, wrong


@every_file
def test_the_compiled_loops_are_imported_on_first_use(file: str) -> None:
    wrong = [f"{file}:{item.line}" for item in imports(file) if item.at_import and item.module == "masking.kernels"]
    assert not wrong, wrong


def file_of(module: str) -> str | None:
    """The file of a module of ours, that of a package being its ``__init__.py``."""
    path = module.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in FILES), None)


def folder_of(file: str) -> str:
    return file.rpartition("/")[0]


@functools.cache
def imported_files(file: str) -> frozenset[str]:
    """The other files of ours that ``file`` imports: lazily, for types only, or by name."""
    found = {file_of(item.module) for item in imports(file)}
    return frozenset(one for one in found if one is not None and one != file)


def circles(imported: Mapping[str, Collection[str]]) -> set[tuple[str, ...]]:
    """The sets of names that reach each other, each sorted: {a: [b], b: [a, c], c: []} has one, (a, b)."""
    reached: dict[str, set[str]] = {}
    for name in imported:
        seen, waiting = set[str](), list(imported[name])
        while waiting:
            if (one := waiting.pop()) not in seen:
                seen.add(one)
                waiting += imported.get(one, ())
        reached[name] = seen
    return {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ())))
        for name in imported
        if name in reached[name]
    }


def test_circles_are_found() -> None:
    assert circles({"a": ["b"], "b": ["a", "c"], "c": [], "d": ["e"], "e": ["f"], "f": ["d", "a"]}) == {
        ("a", "b"),
        ("d", "e", "f"),
    }


def test_imports_count_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(
        "if TYPE_CHECKING:\n    from data_prep.documents import Spans\n"
        "def lazily():\n    from data_prep import kernels\n    import masking.keyed\n    return importlib.import_module('data_prep.corpora')\n"
    )
    assert imported_files(str(file)) == {
        "data_prep/documents.py",
        "data_prep/kernels.py",
        "masking/keyed.py",
        "data_prep/corpora/__init__.py",
    }


def test_files_import_each_other_in_no_circle() -> None:
    found = circles({file: imported_files(file) for file in FILES})
    assert sorted(found - set(KNOWN_FILE_CIRCLES)) == [], "a new circle"
    assert sorted(set(KNOWN_FILE_CIRCLES) - found) == [], "mended: remove it from KNOWN_FILE_CIRCLES"


def test_folders_import_each_other_in_no_circle() -> None:
    """A folder is the one that a file lies in: ``data_prep`` itself and ``data_prep/inputs`` are two."""
    imported: dict[str, set[str]] = {}
    for file in FILES:
        imported.setdefault(folder_of(file), set()).update(
            {folder_of(one) for one in imported_files(file)} - {folder_of(file)}
        )
    found = circles(imported)
    assert sorted(found - set(KNOWN_FOLDER_CIRCLES)) == [], "a new circle"
    assert sorted(set(KNOWN_FOLDER_CIRCLES) - found) == [], "mended: remove it from KNOWN_FOLDER_CIRCLES"


def test_the_floors_are_all_folders() -> None:
    assert sorted(FLOORS) == sorted({folder_of(file) for file in FILES})


def floor_of(file: str) -> int:
    """The number of the floor on which a file lies."""
    return FLOORS.index(folder_of(file))


@every_file
def test_a_file_imports_from_its_own_floor_and_from_lower_ones(file: str) -> None:
    higher = [one for one in imported_files(file) if floor_of(one) > floor_of(file)]
    assert not higher, f"{file} on the floor {FLOORS[floor_of(file)]} imports {', '.join(sorted(higher))}"


LAUNCH = [file for file in FILES if package_of(file) == "launch"]


@each(LAUNCH)
def test_launch_imports_the_other_packages_inside_functions(file: str) -> None:
    wrong = [
        f"{file}:{item.line} imports {item.module}"
        for item in imports(file)
        if item.at_import and inside(item.module, PACKAGES[:3])
    ]
    assert not wrong, wrong


@every_file
def test_imports_are_absolute_and_name_what_they_take(file: str) -> None:
    nodes = [node for node in ast.walk(tree(file)) if isinstance(node, ast.ImportFrom)]
    assert [
        f"{file}:{node.lineno}" for node in nodes if node.level or any(alias.name == "*" for alias in node.names)
    ] == []


@each([file for file in FILES if file.endswith("__init__.py")])
def test_init_files_hold_a_docstring_and_no_re_exports(file: str) -> None:
    body = tree(file).body
    if Path(file).parent.name not in PLUGIN_FOLDERS:
        assert len(body) == 1, f"{file} holds more than its docstring"
    used = {node.id for node in ast.walk(tree(file)) if isinstance(node, ast.Name)}
    taken = [
        alias.asname or alias.name
        for node in body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert [name for name in taken if name not in used and name != "annotations"] == []
    assert "__all__" not in used


def test_every_folder_with_modules_is_a_package() -> None:
    assert {
        folder for folder in {Path(file).parent.as_posix() for file in FILES} if f"{folder}/__init__.py" not in FILES
    } == set()


@every_file
def test_a_module_opens_with_its_story(file: str) -> None:
    story = ast.get_docstring(tree(file))
    assert story and len(story.split()) >= 4, f"{file} opens without a docstring"


def base_classes(file: str, cls: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    """The base classes of ``cls`` that are ours, with their files."""
    homes = {
        alias.asname or alias.name: node.module
        for node in tree(file).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for base in cls.bases:
        home = (homes.get(ast.unparse(base)) or "").replace(".", "/")
        places = [place for place in (f"{home}.py", f"{home}/__init__.py", file) if place in FILES]
        yield from (
            (place, node)
            for place in places
            for node in tree(place).body
            if isinstance(node, ast.ClassDef) and node.name == ast.unparse(base)
        )


def documented_above(file: str, cls: ast.ClassDef, method: str) -> bool:
    """Does a base class of ours document this method?"""
    for place, above in base_classes(file, cls):
        if any(
            isinstance(node, ast.FunctionDef) and node.name == method and ast.get_docstring(node) for node in above.body
        ):
            return True
        if documented_above(place, above, method):
            return True
    return False


def undocumented(file: str, body: list[ast.stmt], cls: ast.ClassDef | None = None) -> Iterator[str]:
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not (cls and documented_above(file, cls, node.name)):
            yield f"{node.lineno}: {cls.name + '.' if cls else ''}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from undocumented(file, node.body, node)


@every_file
def test_public_things_are_documented(file: str) -> None:
    assert list(undocumented(file, tree(file).body)) == []


@each([file for file in FILES if file not in COMPILED])
def test_modules_are_short(file: str) -> None:
    lines = len((ROOT / file).read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE, f"{file} has {lines} lines"


@each([file for file in FILES if file not in COMPILED])
def test_functions_are_short(file: str) -> None:
    functions = [node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {f"{file}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    long = {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}
    assert not long, long


def borrowed(module: ast.Module) -> list[str]:
    """Names imported from our packages that a compiled function of this file uses, with its own name."""
    nodes = [node for node in ast.walk(module) if isinstance(node, ast.ImportFrom | ast.Import)]
    ours = [node for node in nodes if inside(getattr(node, "module", None) or node.names[0].name, PACKAGES)]
    names = {(alias.asname or alias.name).partition(".")[0] for node in ours for alias in node.names}
    functions = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef) and any("njit" in ast.unparse(mark) for mark in node.decorator_list)
    ]
    return [
        f"{item.name}: {node.id}"
        for item in functions
        for node in ast.walk(item)
        if isinstance(node, ast.Name) and node.id in names
    ]


@every_file
def test_a_compiled_function_uses_only_what_its_own_file_compiles(file: str) -> None:
    """numba's cache on disk looks at the function's own file alone: an edited helper in another file would silently not
    be taken."""
    assert borrowed(tree(file)) == []


def test_a_compiled_helper_of_another_file_would_be_found() -> None:
    source = "from numba import njit\nfrom masking.keyed import mix\n@njit(cache=True)\ndef one(a):\n    return mix(a)\ndef two(a):\n    return mix(a)\n"
    assert borrowed(ast.parse(source)) == ["one: mix"]
    assert borrowed(ast.parse(source.replace("from masking.keyed import mix", "import masking.keyed as mix"))) == [
        "one: mix"
    ]
    assert borrowed(ast.parse(source.replace("from masking.keyed", "from numpy"))) == []


@functools.cache
def foreign_modules() -> frozenset[str]:
    """Top-level modules of the standard library and of our dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-") for requirement in requirements}
    installed = {
        module
        for module, homes in packages_distributions().items()
        if {home.lower().replace("_", "-") for home in homes} & names
    }
    return frozenset({*sys.stdlib_module_names, *installed, *(name.replace("-", "_") for name in names)})


def test_the_list_of_foreign_modules_is_no_empty_list() -> None:
    assert {"select", "token", "tokenize", "inspect", "tokenizers", "datasets", "torch", "numba"} <= foreign_modules()


@each([file for file in FILES if Path(file).parent.name not in PLUGIN_FOLDERS])
def test_no_file_is_named_after_a_foreign_module(file: str) -> None:
    assert not {*Path(file).parts[:-1], Path(file).stem} & foreign_modules()


@pytest.mark.parametrize(
    "modules", ["launch.cli", "launch.cli, launch.backends.local, launch.backends.hostfile, launch.settings.components"]
)
def test_the_command_line_starts_without_heavy_libraries(modules: str) -> None:
    code = f"import sys, {modules}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
