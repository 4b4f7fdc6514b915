"""Every page has the same frame and the one stylesheet, and fetches nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Result, command

from launch.views.page import lines_page, table
from launch.views.stylesheet import PALETTE, stylesheet
from launch.views.terminal import STYLES
from launch.views.words import Word


@pytest.fixture
def kmask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run `kmask <arguments>` in this process."""
    return command(monkeypatch, capsys)


def test_views_comparisons_and_reports_are_framed_alike(
    kmask: Callable[..., Result], prepared: Path, tmp_path: Path
) -> None:
    commands = {
        "document": ("show", "document", prepared, "--html"),
        "masks": ("show", "masks", prepared, "--windows", 5, "--schemes", "subword", "--html"),
        "report": ("prepare", "report", prepared, "-o"),
    }
    for name, arguments in commands.items():
        file = tmp_path / f"{name}.html"
        done = kmask(*arguments, file)
        assert done.code == 0 and done.out.endswith(f"written to {file}\n"), done.err
        text = file.read_text(encoding="utf-8")
        head, _, body = text.partition("</head>")
        assert head.count("<style>") == 1 and stylesheet() in head and "<style" not in body
        assert re.match(r"<body><main( class=wide)?><h1>", body) and body.endswith("</main></body></html>\n")
        assert not re.search(r"url\(|@import|<script|http", text)


def test_every_style_of_a_word_has_a_look_on_pages() -> None:
    rules = stylesheet()
    missing = [style for style in STYLES if style and not re.search(rf"\.s-{style}\b", rules)]
    assert missing == []


def test_every_colour_that_the_rules_use_is_given_for_both_grounds() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", stylesheet()))
    assert used == set(PALETTE)
    assert all(stylesheet().count(f"--{name}:") == 2 for name in used)


def test_words_and_titles_are_escaped_and_an_empty_line_keeps_its_height() -> None:
    text = lines_page("a <b>", [[Word("1 < 2"), Word("x & y", "mask")], []])
    assert "<title>a &lt;b&gt;</title>" in text and "<h1>a &lt;b&gt;</h1>" in text
    assert '<div>1 &lt; 2<span class="s-mask">x &amp; y</span></div><div>&nbsp;</div>' in text


def test_a_table_without_titles_has_no_row_for_them() -> None:
    assert "<th" not in table(["", ""], [["a", "1"]], "sn")
    assert table(["name", "count"], [["a", "1"]], "sn").count("<th") == 2
