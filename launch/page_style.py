"""The look of pages: one stylesheet for light and dark screens, and the frame around a page's sections. Nothing is fetched from outside."""

from __future__ import annotations

from html import escape

COLOURS = {"word": ("#0a7d8c", "#4cc5d4"), "phrase": ("#217a21", "#6cc76c"), "entity": ("#a3198f", "#ec7fdc")}
"""Of each kind of unit, on a light and on a dark ground; the light ones are those of `kmask show`."""

LIGHT = "--ground:#fff;--ink:#1b1f24;--quiet:#646b75;--line:#e0e3e8;--card:#f6f7f9;--bar:#5b7fb5;--warn:#b3541e;--tint:16%;"
DARK = "--ground:#14171b;--ink:#e4e7eb;--quiet:#99a1ac;--line:#2d333b;--card:#1c2026;--bar:#7da2d8;--warn:#e29a6a;--tint:24%;"

RULES = """
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans SC","Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;
 margin:0;background:var(--ground);color:var(--ink)}
main{max-width:1120px;margin:0 auto;padding:28px 24px 80px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:19px;margin:52px 0 6px;padding-top:14px;border-top:1px solid var(--line)}
h3{font-size:15px;margin:26px 0 6px} h3 small,h4 small{font-weight:400}
p{margin:4px 0 12px;max-width:78ch}
.quiet,small{color:var(--quiet)} small{font-size:12.5px}
nav{margin:14px 0 0;font-size:14px} nav a{color:var(--bar);text-decoration:none;margin-right:16px;white-space:nowrap} nav a:hover{text-decoration:underline}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:24px 0 0}
.tile{background:var(--card);border-radius:8px;padding:12px 14px}
.tile b{display:block;font-size:23px;line-height:1.3;font-variant-numeric:tabular-nums}
.tile span{color:var(--quiet);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;color:var(--quiet);font-size:12.5px;padding:4px 10px 4px 0;border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:4px 10px 4px 0;border-bottom:1px solid var(--line);vertical-align:middle}
.n{text-align:right;white-space:nowrap} td.w{width:34%;min-width:110px} td.s{overflow-wrap:anywhere}
.bar{opacity:.82;height:11px;border-radius:2px;background:var(--bar);min-width:1px}
.tag{display:inline-block;font-size:11.5px;line-height:1.5;padding:0 6px;border-radius:9px;border:1px solid var(--line);color:var(--quiet)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:14px;align-items:start}
.card{background:var(--card);border-radius:8px;padding:12px 14px;min-width:0}
.card h4{margin:0 0 6px;font-size:13.5px} .card table{font-size:13.5px} .card td{border:0;padding:1px 6px 1px 0;overflow-wrap:anywhere}
.card td.w{width:30%;min-width:44px}
svg{display:block} svg rect{opacity:.85} svg text{fill:var(--quiet);font-size:11px}
.axis{stroke:var(--line)} .mark{stroke:var(--warn);stroke-width:1.5} svg .marked{fill:var(--warn)} svg .name{fill:var(--ink)}
.glyphs{display:flex;flex-wrap:wrap;gap:6px}
.glyph{width:62px;text-align:center;background:var(--card);border-radius:6px;padding:5px 2px;line-height:1.25}
.glyph b{display:block;font-size:21px;font-weight:400;height:28px;overflow:hidden}
.glyph small{font-size:11px;display:block}
pre,code{font-family:ui-monospace,"SF Mono","Noto Sans Mono","Noto Sans Mono CJK SC",monospace;font-size:12.5px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);border-radius:8px;padding:12px 14px;margin:8px 0}
details{margin:10px 0} summary{cursor:pointer;color:var(--bar)}
.passage{background:var(--card);border-radius:8px;padding:12px 18px 14px;margin:0 0 12px}
.passage p{white-space:pre-wrap;line-height:2.3;margin:4px 0 0;max-width:none;font-size:16px;overflow-wrap:anywhere}
.word{border-bottom:2px solid color-mix(in srgb,var(--word) 62%,transparent);padding-bottom:1px}
.word.open{margin-left:1.5px} .word.close{margin-right:1.5px}
.phrase{background:color-mix(in srgb,var(--phrase) var(--tint),transparent)}
.entity{background:color-mix(in srgb,var(--entity) var(--tint),transparent)}
.phrase,.entity,.both{padding:4px 0 2px}
.phrase.open,.entity.open{border-top-left-radius:5px;border-bottom-left-radius:2px}
.phrase.close,.entity.close{border-top-right-radius:5px;border-bottom-right-radius:2px}
.both{background:linear-gradient(color-mix(in srgb,var(--entity) var(--tint),transparent) 50%,color-mix(in srgb,var(--phrase) var(--tint),transparent) 50%)}
i.kind{font-style:normal;font-size:10px;letter-spacing:.02em;line-height:1;vertical-align:5px;padding:0 3px 0 2px;white-space:nowrap}
i.kind.entity-name{color:var(--entity)} i.kind.phrase-name{color:var(--phrase)}
.whole{white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:22px;margin:10px 0 14px}
@media print{nav{display:none} h2{break-after:avoid} .card,.passage{break-inside:avoid}}
"""


def stylesheet() -> str:
    """All rules, for both kinds of screens."""
    light, dark = ("".join(f"--{kind}:{pair[number]};" for kind, pair in COLOURS.items()) for number in (0, 1))
    return f":root{{color-scheme:light dark;{LIGHT}{light}}}@media(prefers-color-scheme:dark){{:root{{{DARK}{dark}}}}}{RULES}"


def framed(title: str, body: str) -> str:
    """A whole HTML page; ``body`` is HTML."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{stylesheet()}</style></head><body><main>{body}</main></body></html>\n'
