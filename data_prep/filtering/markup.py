"""How much of a text is the source of an HTML page rather than what a reader sees.

    "<p>Hello <b>world</b></p>"  ->  14 of 25 characters

Counted are tags by the names that HTML knows (so that `vector<int>`, `a < b` and `<name@example.org>` are text),
comments, scripts, style sheets and entities. Time is linear in the text: what opens and is never closed counts as its
tag alone.
"""

from __future__ import annotations

import re

_NAMES = """
html head body title meta link base script style noscript template iframe object embed param header footer main nav
section article aside address
div span p br hr pre blockquote h1 h2 h3 h4 h5 h6 ul ol li dl dt dd a abbr b strong i em u s small sub sup big center
font cite code kbd samp var mark
q del ins ruby rb rt rp bdi bdo wbr time data img picture source figure figcaption map area audio video track canvas svg
path g table caption
colgroup col thead tbody tfoot tr td th form fieldset legend label input button select option optgroup textarea output
progress meter details
summary dialog menu frame frameset noframes marquee tt strike
"""
LONGEST_TAG = 2000
_NAME = "|".join(sorted(_NAMES.split(), key=len, reverse=True))
PIECE = re.compile(
    rf"<(?:(?P<comment>!--)|(?P<close>/)?(?P<name>{_NAME})(?=[\s/>])[^<>]{{0,{LONGEST_TAG}}}>"
    rf"|!doctype[^<>]{{0,{LONGEST_TAG}}}>)|&(?:[a-z]{{2,8}}|\#[0-9]{{1,7}}|\#x[0-9a-f]{{1,6}});",
    re.IGNORECASE,
)
HIDDEN = ("script", "style")
"""Elements whose content is no text."""


def markup_characters(text: str) -> int:
    """Characters of the text that are markup."""
    if "<" not in text or ("</" not in text and "/>" not in text):
        return 0
    count = at = 0
    unclosed: set[str] = set()
    while piece := PIECE.search(text, at):
        end = piece.end()
        name = "comment" if piece["comment"] else "" if piece["close"] else (piece["name"] or "").lower()
        if name in ("comment", *HIDDEN) and name not in unclosed:
            close = re.compile("-->" if name == "comment" else f"</{name}[^<>]{{0,100}}>", re.IGNORECASE).search(
                text, end
            )
            end = close.end() if close else end
            unclosed |= set() if close else {name}
        count += end - piece.start()
        at = end
    return count
