"""Markdown becomes the text that a reader sees, in Chinese and English, and what is no markup stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.cleaning.markdown import markdown_text
from data_prep.documents import Document, Given, Place, Record
from data_prep.filtering.cleaning import Cleaning

PAGE = """---
title: x
---
# 标题 #

Some *emphasis*, **strong with *inner* text**, __init__ and `code`.
See [the **site**](http://example.org/a_b_c "T") and ![a picture](p.png)[note][1].[^n]

> quoted
> - item one
1. [x] done

| a | b |
|---|---|
| 1 | 2 |

```python
hidden()
```
Title
=====
<!-- a
comment --><b>bold</b> a < b > c<br/>

* * *
[1]: http://example.org
[^n]: a note
"""


def test_a_page_becomes_what_a_reader_sees() -> None:
    assert Cleaning(markdown=True, join_wrapped_lines=False).text(PAGE).split("\n") == [
        "标题",
        "",
        "Some emphasis, strong with inner text, init and code.",
        "See the site and note.",
        "",
        "quoted",
        "item one",
        "done",
        "",
        "Title",
        "bold a < b > c",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 * 4 = 24",
        "snake_case_name and _x",
        "a < b and c > d",
        "1.5 + 2",
        "#标签 no heading",
        "C# and F#",
        "[note]",
        "~ 5 ~",
        "```\nopen fence",
    ],
)
def test_what_is_no_markup_stays(text: str) -> None:
    assert markdown_text(text) == text


def test_spans_move_with_their_characters() -> None:
    record = Record(
        "**鲁迅**生于[绍兴](http://x)。",
        "a",
        "",
        "zh",
        Place("f", 1, 0),
        {"entity": [Given(2, 4, "PER"), Given(9, 11, "LOC")]},
    )
    document = Cleaning(markdown=True).clean(record, "s")
    assert isinstance(document, Document)
    assert document.text == "鲁迅生于绍兴。"
    assert [document.text[span.start : span.end] for span in document.given["entity"]] == ["鲁迅", "绍兴"]


@given(
    st.lists(st.sampled_from([*"*_`#[]()<>!|~\\-= \n", "```", "---\n", "a", "北京", "http://x"]), max_size=60).map(
        "".join
    )
)
def test_any_text_is_taken(text: str) -> None:
    assert set(markdown_text(text)) <= set(text)
