"""What is installed: one distribution, four packages that are really ours, pinned dependencies, an honest README
tree."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import tomllib
from collections import Counter
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from launch.packages import PACKAGES, check_packages

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]


def distribution(requirement: str) -> str:
    """The normalised name at the beginning of a requirement line."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def test_the_distribution_is_kmask_with_one_command() -> None:
    assert PROJECT["name"] == "kmask"
    assert PROJECT["scripts"] == {"kmask": "launch.cli:main"}
    assert "gui-scripts" not in PROJECT


def test_the_command_points_at_a_function() -> None:
    module, _, name = PROJECT["scripts"]["kmask"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_an_accidental_upload_is_refused_by_the_index() -> None:
    assert "Private :: Do Not Upload" in PROJECT["classifiers"]


def test_only_the_four_packages_are_found_and_all_of_their_folders() -> None:
    setuptools = pytest.importorskip("setuptools")
    found = setuptools.find_packages(str(ROOT), include=PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"])
    assert {name.partition(".")[0] for name in found} == set(PACKAGES) == {"data_prep", "masking", "pretrain", "launch"}
    folders = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert set(found) == folders


@pytest.mark.parametrize("key", ["readme", "license-files"])
def test_files_that_the_metadata_name_exist(key: str) -> None:
    names = [PROJECT[key]] if isinstance(PROJECT[key], str) else PROJECT[key]
    missing = [name for name in names if not list(ROOT.glob(name))]
    if missing:
        pytest.xfail(f"pyproject.toml names {missing[0]}, which is not written yet")


def test_our_own_packages_pass_the_check() -> None:
    check_packages()


@pytest.mark.parametrize("shadowed", PACKAGES)
def test_a_foreign_package_is_named_with_its_place(
    shadowed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = importlib.util.find_spec
    place = tmp_path / "site-packages" / shadowed

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, None, origin=str(place / "__init__.py")) if name == shadowed else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(
        ValueError, match=rf"package `{shadowed}` at {re.escape(str(place))} is not kmask's .* environment of its own"
    ):
        check_packages()


@pytest.mark.parametrize("found", [None, ModuleSpec("masking", None)], ids=["missing", "a folder without __init__.py"])
def test_a_package_without_a_file_is_no_package_of_ours(
    found: ModuleSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, package=None: found if name == "masking" else real(name, package)
    )
    with pytest.raises(ValueError, match=r"package `masking` (at|.not found)"):
        check_packages()


def test_every_dependency_is_pinned() -> None:
    file = ROOT / "constraints.txt"
    if not file.is_file():
        pytest.skip("constraints.txt is not written yet")
    lines = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    pins = [line for line in lines if line and not line.startswith("-")]
    loose = [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;,*]+(\s*;.*)?", line)]
    assert not loose, loose
    counted = Counter(map(distribution, pins))
    assert [name for name, count in counted.items() if count > 1] == []
    needed = {distribution(item) for item in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]}
    assert needed - set(counted) == set()


@pytest.mark.parametrize("requirement", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]])
def test_a_pin_satisfies_the_requirement_of_the_project(requirement: str) -> None:
    file = ROOT / "constraints.txt"
    if not file.is_file():
        pytest.skip("constraints.txt is not written yet")
    requirements = pytest.importorskip("packaging.requirements")
    wanted = requirements.Requirement(requirement)
    pins = {
        distribution(line): line.split("==")[1].split(";")[0].strip()
        for line in file.read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    pin = pins.get(distribution(requirement))
    assert pin is not None
    assert wanted.specifier.contains(pin, prereleases=True), f"{requirement} is pinned to {pin}"


def tracked_modules() -> list[str]:
    """The .py files of the four packages that git tracks; all of them where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *(f"{name}/**.py" for name in PACKAGES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        return [line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    return sorted(path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


@pytest.fixture
def readme_tree() -> str:
    """The last fenced block of the README that names all four packages."""
    file = ROOT / "README.md"
    if not file.is_file():
        pytest.skip("README.md is not written yet")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    trees = [block for block in blocks if all(f"{name}/" in block for name in PACKAGES)]
    assert trees, "README.md holds no fenced block with the four packages"
    return str(trees[-1])


def test_the_readme_tree_lists_every_module(readme_tree: str) -> None:
    modules = [Path(file) for file in tracked_modules()]
    assert len(modules) > 40
    written = Counter(re.findall(r"[\w-]+\.py\b", readme_tree))
    # A name that two folders use (engines/local.py, backends/local.py) must be written twice; __init__.py is its
    # folder's line.
    wanted = Counter(path.name for path in modules if path.name != "__init__.py")
    assert {name: count for name, count in wanted.items() if written[name] < count} == {}
    assert [
        path.parent.as_posix()
        for path in modules
        if path.name == "__init__.py" and f"{path.parent.name}/" not in readme_tree
    ] == []


def test_the_readme_tree_lists_nothing_that_does_not_exist(readme_tree: str) -> None:
    ignored = {".venv", ".git", "runs", "build", "dist", "node_modules"}
    existing = {path.name for path in ROOT.rglob("*.py") if not ignored & set(path.relative_to(ROOT).parts)}
    assert set(re.findall(r"[\w-]+\.py\b", readme_tree)) - existing == set()
    # Names at the beginning of a line, behind indentation and tree characters: folders end in a slash.
    folders = re.findall(r"^[\s│├└─|`+-]*([\w./-]+)/(?=\s|$)", readme_tree, re.MULTILINE)
    places = {
        path.name for path in ROOT.rglob("*") if path.is_dir() and not ignored & set(path.relative_to(ROOT).parts)
    }
    assert [name for name in folders if not (ROOT / name).is_dir() and Path(name).name not in places] == []
