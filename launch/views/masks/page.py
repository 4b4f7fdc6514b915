"""A comparison of masks as a page: the schemes side by side, then the tables with bars.

Every token takes the same room under every scheme (that of the widest thing that any scheme puts there), so lines
break alike in all cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from launch.views.masks.comparison import OWN, Comparison, Shown
from launch.views.masks.tables import COUNTS, Table, description, hidden_words, reading, tables
from launch.views.page import page, table
from launch.views.words import KINDS, joined

if TYPE_CHECKING:
    from masking.display import Piece

ACTIONS = {"mask": "[MASK]", "random": "random token", "kept": "kept as it is", "similar": "similar word"}
"""What may replace a hidden token, by the name of its colour."""
BELOW_SIZE, BELOW_WIDEST = 0.72, 7.0
"""Size of what is printed below a token, and the half characters that it may widen the token to."""


def comparison_page(comparison: Comparison) -> str:
    """The whole page."""
    title = f"Masks of {comparison.title}"
    widths = token_widths(comparison.shown)
    cards = "".join(scheme_card(shown, widths) for shown in comparison.shown)
    counted = "".join(f"<h3>{escape(found.title)}</h3>{table_with_bars(found)}" for found in tables(comparison))
    missing = "".join(
        f"<p><b>{escape(name)}</b> is not drawn: it {escape(reason)}.</p>"
        for name, reason in comparison.missing.items()
    )
    top = f'<h1>{escape(title)}</h1><p class="quiet">{escape(comparison.where)}</p>{colour_keys()}'
    below = f'<h2>Over many samples</h2>{counted}<p class="quiet">{escape(reading(comparison))}</p>'
    return page(title, f'{top}<div class="masks">{cards}</div>{missing}{below}', wide=True)


def colour_keys() -> str:
    """What the colours and lines mean."""
    hidden = "".join(f'<span class="t a-{name}"><b>{text}</b></span>' for name, text in ACTIONS.items())
    units = "".join(f'<span class="t u-{kind}"><b>{kind}</b></span>' for kind in KINDS)
    explained = f"<small>hidden, and replaced by</small>{hidden}<small>units of several tokens</small>{units}"
    return f'<div class="keys">{explained}</div>'


def token_widths(shown: Sequence[Shown]) -> list[float]:
    """Width of every token in half characters: the token, or a replacement below it, which is printed smaller."""
    from rich.cells import cell_len

    def width(number: int) -> float:
        pieces = [drawn.pieces[number] for drawn in shown]
        below = max(BELOW_SIZE * cell_len(replacement(piece)) for piece in pieces)
        return max(float(cell_len(pieces[0].token.removeprefix("##"))), min(below, BELOW_WIDEST))

    return [width(number) for number in range(len(shown[0].pieces))] if shown else []


def replacement(piece: Piece) -> str:
    """What stands below a token: the random token or similar word that replaces it."""
    return piece.replaced_by if piece.action in ("random", "similar") else ""


def scheme_card(shown: Shown, widths: Sequence[float]) -> str:
    """One scheme."""
    texts = joined([piece.token for piece in shown.pieces])
    tokens: list[str] = []
    for number, (piece, text, width) in enumerate(zip(shown.pieces, texts, widths, strict=True)):
        token = token_html(piece, text, width, first=not number)
        if piece.token.startswith("##") and tokens:
            tokens[-1] += token
        else:
            tokens.append(token)
    own = " own" if shown.scheme.name == OWN else ""
    head = f"<h3>{escape(shown.scheme.name)}<small>{escape(hidden_words(shown))}</small></h3>"
    text = "".join(f'<span class="whole">{token}</span>' for token in tokens)
    about = f'<p class="quiet">{escape(description(shown))}</p>'
    return f'<section class="card mask{own}">{head}<p class="text">{text}</p>{about}</section>'


def token_html(piece: Piece, text: str, width: float, first: bool) -> str:
    """A token, in the colour of what replaced it and above its replacement."""
    special = piece.token.startswith("[") and piece.token.endswith("]")
    marks = {
        "t": True,
        f"u-{piece.kind}": piece.kind != "character",
        f"a-{piece.action}": bool(piece.action),
        "open": piece.opens,
        "close": piece.closes,
        "space": text.startswith(" ") and not first,
        "special": special and not piece.action,
    }
    names = " ".join(name for name, wanted in marks.items() if wanted)
    hint = f' title="{escape(piece.action)}: {escape(piece.replaced_by)}"' if piece.action else ""
    below = f"<i>{escape(replacement(piece))}</i>" if replacement(piece) else ""
    return (
        f'<span class="{names}"{hint}><b style="min-width:{width / 2:.2f}em">{escape(text.strip())}</b>{below}</span>'
    )


def table_with_bars(content: Table) -> str:
    """Numbers; those in per cent with a bar each, full at the largest of them."""
    shares = [index for index, name in enumerate(content.heads) if index and name not in COUNTS]
    largest = max((number(row[index]) for row in content.rows for index in shares), default=0.0) or 1.0
    rows = []
    for name, *values in content.rows:
        cells = [escape(value) for value in values]
        for index in shares:
            cells[index - 1] = (
                f'<i style="width:{92 * number(values[index - 1]) / largest:.0f}%"></i>{cells[index - 1]}'
            )
        rows.append([escape(name), *cells])
    return table(content.heads, rows, ["name", *["v"] * (len(content.heads) - 1)])


def number(text: str) -> float:
    """A cell as a number; 0 where it is none."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return 0.0
