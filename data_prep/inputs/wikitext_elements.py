"""The elements that wikitext may hold, by what is left of them, and how variants of Chinese stand in for each other."""

from __future__ import annotations

FALLBACKS = {
    **dict.fromkeys(["zh-hans", "zh-cn"], ("zh-hans", "zh-cn", "zh-sg", "zh-my", "zh")),
    **dict.fromkeys(["zh-sg", "zh-my"], ("zh-my", "zh-sg", "zh-hans", "zh-cn", "zh")),
    **dict.fromkeys(["zh-hant", "zh-tw"], ("zh-hant", "zh-tw", "zh-hk", "zh-mo", "zh")),
    **dict.fromkeys(["zh-hk", "zh-mo"], ("zh-hk", "zh-mo", "zh-hant", "zh-tw", "zh")),
}
"""For each variant, which ones stand in for it where a mark does not have it, the nearest first."""
ELEMENTS = {
    "dropped": (
        "ref references gallery table math chem ce score timeline imagemap templatestyles graph mapframe maplink hiero "
        "syntaxhighlight source script style section indicator inputbox categorytree includeonly"
    ),
    "verbatim": "nowiki pre",
    "breaking": "br hr p div li ul ol dl dt dd tr td th center blockquote poem h1 h2 h3 h4 h5 h6",
    "inline": (
        "b i u s em strong small big sub sup span font code tt var kbd samp cite q abbr del ins strike mark bdi bdo "
        "ruby rb rt rp rtc wbr time data noinclude onlyinclude caption thead tbody tfoot"
    ),
}
"""`dropped` with their content, content taken as it is, a line break at their place, nothing at their place."""
ELEMENT_KIND = {name: kind for kind, names in ELEMENTS.items() for name in names.split()}
