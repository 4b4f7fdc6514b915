"""A comparison of masks (masks.py) as a self-contained page for light and dark screens: the schemes side by side, then the tables with bars.

Every token takes the same room under every scheme (that of the widest thing that any scheme puts there), so lines break alike in all cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from launch.drawn_tokens import joined
from launch.masks_terminal import READING, about, crossed_words, share_words, tables
from launch.page_style import framed

if TYPE_CHECKING:
    from launch.masks import Comparison, Shown

STYLE = """<style>
:root{--mask:#c62828;--mask-ink:#fff;--random:#f9c80e;--random-ink:#332900;--kept:#1e66c5;--kept-ink:#fff;--similar:#4f9d57;--similar-ink:#fff}
@media(prefers-color-scheme:dark){:root{--mask:#d64545;--random:#d9ad0b;--random-ink:#1b1600;--kept:#3f83dc;--similar:#5fae68;--similar-ink:#06240a}}
main{max-width:1560px} main>p{max-width:none}
.masks{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,560px),1fr));gap:14px;margin:18px 0 0}
.mask-card{background:var(--card);border-radius:8px;padding:12px 16px 12px;min-width:0}
.mask-card h3{margin:0;font-size:16px} .mask-card h3 small{margin-left:8px;font-weight:400}
.mask-card.own{outline:2px solid var(--bar)}
.text{font:15px/1 ui-monospace,"SF Mono","Noto Sans Mono CJK SC","Noto Sans Mono",monospace;margin:10px 0 8px;max-width:none}
.t{display:inline-flex;flex-direction:column;align-items:center;vertical-align:top;height:36px;padding-top:3px;white-space:pre}
.t b{font-weight:400;padding:2px 0 3px;border-bottom:2px solid transparent;width:100%;text-align:center}
.t i{font-style:normal;font-size:10.5px;line-height:13px;color:var(--quiet)}
.t.u-word b{border-color:var(--word)} .t.u-phrase b{border-color:var(--phrase)} .t.u-entity b{border-color:var(--entity)}
.t.open{padding-left:2px} .t.close{padding-right:2px} .t.space{padding-left:.55em}
.t.special b{color:var(--quiet)}
.a-mask b{background:var(--mask);color:var(--mask-ink)} .a-random b{background:var(--random);color:var(--random-ink)}
.a-kept b{background:var(--kept);color:var(--kept-ink)} .a-similar b{background:var(--similar);color:var(--similar-ink)}
.mask-card p.quiet{font-size:12.5px;margin:0;max-width:none;line-height:1.45}
.keys{display:flex;flex-wrap:wrap;gap:6px 18px;margin:14px 0 0;align-items:center}
.keys .t{height:auto;padding:0 0 0 0} .keys .t b{padding:2px 6px 3px}
td.v{position:relative;text-align:right;white-space:nowrap;padding-left:8px}
td.v i{position:absolute;right:10px;bottom:1px;height:3px;border-radius:2px;background:var(--bar);opacity:.75}
td.name{white-space:nowrap;font-weight:600}
</style>"""


def page(comparison: Comparison) -> str:
    """The whole page."""
    widths = room(comparison.shown)
    cards = "".join(card(shown, widths) for shown in comparison.shown)
    counted = "".join(f"<h3>{escape(title)}</h3>{table(header, rows)}" for title, header, rows in tables(comparison))
    missing = "".join(f"<p><b>{escape(name)}</b> is not drawn: it {escape(reason)}.</p>" for name, reason in comparison.missing.items())
    top = f"<h1>Masks of {escape(comparison.title)}</h1><p class='quiet'>{escape(comparison.where)}</p>{keys()}"
    reading = READING + crossed_words(comparison)
    return framed(
        f"Masks of {comparison.title}",
        f"{STYLE}{top}<div class='masks'>{cards}</div>{missing}<h2>Over many samples</h2>{counted}<p class='quiet'>{escape(reading)}</p>",
    )


def keys() -> str:
    """What the colours and lines mean."""
    actions = [("mask", "[MASK]"), ("random", "random token"), ("kept", "kept as it is"), ("similar", "similar word")]
    hidden = "".join(f'<span class="t a-{name}"><b>{text}</b></span>' for name, text in actions)
    units = "".join(f'<span class="t u-{kind}"><b>{kind}</b></span>' for kind in ("word", "phrase", "entity"))
    return f'<div class="keys"><small>hidden, and replaced by</small>{hidden}<small>units of several tokens</small>{units}</div>'


def room(shown: Sequence[Shown]) -> list[float]:
    """Width of every token in half characters: the token itself, or a replacement below it, which is printed smaller."""
    from rich.cells import cell_len

    def width(number: int) -> float:
        below = max((0.72 * cell_len(drawn.pieces[number].replaced_by) for drawn in shown if below_of(drawn, number)), default=0.0)
        return max(float(cell_len(shown[0].pieces[number].token.removeprefix("##"))), min(below, 7.0))

    return [width(number) for number in range(len(shown[0].pieces))] if shown else []


def below_of(shown: Shown, number: int) -> str:
    """What stands below a token: the random token or similar word that replaces it."""
    piece = shown.pieces[number]
    return piece.replaced_by if piece.action in ("random", "similar") else ""


def card(shown: Shown, widths: Sequence[float]) -> str:
    """One scheme."""
    texts = joined([piece.token for piece in shown.pieces])
    tokens: list[str] = []
    for number, (piece, text, width) in enumerate(zip(shown.pieces, texts, widths, strict=True)):
        special = piece.token.startswith("[") and piece.token.endswith("]")
        marks = [
            "t",
            *([f"u-{piece.kind}"] if piece.kind != "character" else []),
            *([f"a-{piece.action}"] if piece.action else []),
            *(["open"] if piece.opens else []),
            *(["close"] if piece.closes else []),
            *(["space"] if text.startswith(" ") and number else []),
            *(["special"] if special and not piece.action else []),
        ]
        hint = f' title="{escape(piece.action)}: {escape(piece.replaced_by)}"' if piece.action else ""
        below = f"<i>{escape(below_of(shown, number))}</i>" if below_of(shown, number) else ""
        token = f'<span class="{" ".join(marks)}"{hint}><b style="min-width:{width / 2:.2f}em">{escape(text.strip())}</b>{below}</span>'
        if piece.token.startswith("##") and tokens:
            tokens[-1] += token
        else:
            tokens.append(token)
    own = " own" if shown.scheme.name == "this run" else ""
    head = f"<h3>{escape(shown.scheme.name)}<small>{escape(share_words(shown))}</small></h3>"
    text = "".join(f'<span class="whole">{token}</span>' for token in tokens)
    return f'<section class="mask-card{own}">{head}<p class="text">{text}</p><p class="quiet">{escape(about(shown))}</p></section>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Numbers; those in per cent with a bar each, full at the largest of them."""
    shares = [index for index, name in enumerate(header) if name not in ("scheme", "run", "empty", "given up", "SBO")]
    largest = max((number(row[index]) for row in rows for index in shares), default=0.0) or 1.0
    head = "".join(f"<th{' class=n' if index else ''}>{escape(name)}</th>" for index, name in enumerate(header))
    body = ""
    for row in rows:
        values = ""
        for index, text in enumerate(row[1:], 1):
            bar = f'<i style="width:{92 * number(text) / largest:.0f}%"></i>' if index in shares else ""
            values += f'<td class="v">{bar}{escape(text)}</td>'
        body += f'<tr><td class="name">{escape(row[0])}</td>{values}</tr>'
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def number(text: str) -> float:
    """A cell as a number; 0 where it is none."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return 0.0
