"""The stylesheet of all pages, for light and dark screens: frame, tables, plots, passages, lines of words, masks."""

from __future__ import annotations

PALETTE = {
    "ground": ("#fff", "#14171b"),
    "ink": ("#1b1f24", "#e4e7eb"),
    "quiet": ("#646b75", "#99a1ac"),
    "line": ("#e0e3e8", "#2d333b"),
    "card": ("#f6f7f9", "#1c2026"),
    "bar": ("#5b7fb5", "#7da2d8"),
    "warn": ("#b3541e", "#e29a6a"),
    "tint": ("16%", "24%"),
    "word": ("#0a7d8c", "#4cc5d4"),
    "phrase": ("#217a21", "#6cc76c"),
    "entity": ("#a3198f", "#ec7fdc"),
    "mask": ("#c62828", "#d64545"),
    "mask-ink": ("#fff", "#fff"),
    "random": ("#f9c80e", "#d9ad0b"),
    "random-ink": ("#332900", "#1b1600"),
    "kept": ("#1e66c5", "#3f83dc"),
    "kept-ink": ("#fff", "#fff"),
    "similar": ("#4f9d57", "#5fae68"),
    "similar-ink": ("#fff", "#06240a"),
}
"""Of every name that the rules use: on a light and on a dark ground."""

FRAME = """
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans SC","Noto Sans CJK SC","PingFang SC",
 "Microsoft YaHei",sans-serif;margin:0;background:var(--ground);color:var(--ink)}
main{max-width:1120px;margin:0 auto;padding:28px 24px 80px} main.wide{max-width:1560px} main.wide>p{max-width:none}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:19px;margin:52px 0 6px;padding-top:14px;border-top:1px solid var(--line)}
h3{font-size:15px;margin:26px 0 6px} h3 small,h4 small{font-weight:400}
p{margin:4px 0 12px;max-width:78ch}
.quiet,small{color:var(--quiet)} small{font-size:12.5px}
nav{margin:14px 0 0;font-size:14px} nav a{color:var(--bar);text-decoration:none;margin-right:16px;white-space:nowrap}
nav a:hover{text-decoration:underline}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:24px 0 0}
.tile{background:var(--card);border-radius:8px;padding:12px 14px}
.tile b{display:block;font-size:23px;line-height:1.3;font-variant-numeric:tabular-nums}
.tile span{color:var(--quiet);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th{font-weight:600;text-align:left;color:var(--quiet);font-size:12.5px;padding:4px 10px 4px 0;white-space:nowrap}
th{border-bottom:1px solid var(--line)} th.n,th.v{text-align:right}
td{padding:4px 10px 4px 0;border-bottom:1px solid var(--line);vertical-align:middle}
.n,.v{text-align:right;white-space:nowrap} td.w{width:34%;min-width:110px} td.s{overflow-wrap:anywhere}
td.name{white-space:nowrap;font-weight:600} td.v{position:relative;padding-left:8px}
td.v i{position:absolute;right:10px;bottom:1px;height:3px;border-radius:2px;background:var(--bar);opacity:.75}
.bar{opacity:.82;height:11px;border-radius:2px;background:var(--bar);min-width:1px}
.tag{display:inline-block;font-size:11.5px;line-height:1.5;padding:0 6px;border-radius:9px;border:1px solid var(--line)}
.tag{color:var(--quiet)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:14px;align-items:start}
.card{background:var(--card);border-radius:8px;padding:12px 14px;min-width:0}
.card h4{margin:0 0 6px;font-size:13.5px} .card table{font-size:13.5px}
.card td{border:0;padding:1px 6px 1px 0;overflow-wrap:anywhere}
.card td.w{width:30%;min-width:44px}
svg{display:block} svg rect{opacity:.85} svg text{fill:var(--quiet);font-size:11px}
.axis{stroke:var(--line)} .mark{stroke:var(--warn);stroke-width:1.5}
svg .marked{fill:var(--warn)} svg .name{fill:var(--ink)}
.glyphs{display:flex;flex-wrap:wrap;gap:6px}
.glyph{width:62px;text-align:center;background:var(--card);border-radius:6px;padding:5px 2px;line-height:1.25}
.glyph b{display:block;font-size:21px;font-weight:400;height:28px;overflow:hidden}
.glyph small{font-size:11px;display:block}
pre,code{font-family:ui-monospace,"SF Mono","Noto Sans Mono","Noto Sans Mono CJK SC",monospace;font-size:12.5px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--card);border-radius:8px;padding:12px 14px}
pre{margin:8px 0}
details{margin:10px 0} summary{cursor:pointer;color:var(--bar)}
"""
"""The page, its tables and its plots."""

PASSAGES = """
.passage{background:var(--card);border-radius:8px;padding:12px 18px 14px;margin:0 0 12px}
.passage p{white-space:pre-wrap;line-height:2.3;margin:4px 0 0;max-width:none;font-size:16px;overflow-wrap:anywhere}
.word{border-bottom:2px solid color-mix(in srgb,var(--word) 62%,transparent);padding-bottom:1px}
.word.open{margin-left:1.5px} .word.close{margin-right:1.5px}
.phrase{background:color-mix(in srgb,var(--phrase) var(--tint),transparent)}
.entity{background:color-mix(in srgb,var(--entity) var(--tint),transparent)}
.phrase,.entity,.both{padding:4px 0 2px}
.phrase.open,.entity.open{border-top-left-radius:5px;border-bottom-left-radius:2px}
.phrase.close,.entity.close{border-top-right-radius:5px;border-bottom-right-radius:2px}
.both{background:linear-gradient(color-mix(in srgb,var(--entity) var(--tint),transparent) 50%,
 color-mix(in srgb,var(--phrase) var(--tint),transparent) 50%)}
i.kind{font-style:normal;font-size:10px;letter-spacing:.02em;line-height:1;vertical-align:5px;padding:0 3px 0 2px}
i.kind{white-space:nowrap}
i.kind.entity-name{color:var(--entity)} i.kind.phrase-name{color:var(--phrase)}
.whole{white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:22px;margin:10px 0 14px}
"""
"""Text with its units drawn into it."""

LINES = """
.lines{font:15px/1.9 ui-monospace,"SF Mono","Noto Sans Mono CJK SC","Noto Sans Mono",monospace;margin:18px 0 0}
.lines div{white-space:pre-wrap;overflow-wrap:anywhere}
.s-title{font-weight:700} .s-dim,.s-special{color:var(--quiet)}
.s-word{color:var(--word)} .s-phrase{color:var(--phrase)} .s-entity{color:var(--entity)}
.s-good{color:var(--phrase)} .s-bad{color:var(--warn)}
.s-mask,.s-random,.s-kept,.s-similar{border-radius:3px;padding:0 2px}
.s-mask,.a-mask b{background:var(--mask);color:var(--mask-ink)}
.s-random,.a-random b{background:var(--random);color:var(--random-ink)}
.s-kept,.a-kept b{background:var(--kept);color:var(--kept-ink)}
.s-similar,.a-similar b{background:var(--similar);color:var(--similar-ink)}
"""
"""Lines of words, and what replaced a hidden token."""

MASKS = """
.masks{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,560px),1fr));gap:14px;margin:18px 0 0}
.card.mask{padding:12px 16px}
.card.mask h3{margin:0;font-size:16px} .card.mask h3 small{margin-left:8px;font-weight:400}
.card.mask.own{outline:2px solid var(--bar)}
.text{font:15px/1 ui-monospace,"SF Mono","Noto Sans Mono CJK SC","Noto Sans Mono",monospace}
p.text{margin:10px 0 8px;max-width:none}
.t{display:inline-flex;flex-direction:column;align-items:center;vertical-align:top;height:36px;padding-top:3px}
.t{white-space:pre}
.t b{font-weight:400;padding:2px 0 3px;border-bottom:2px solid transparent;width:100%;text-align:center}
.t i{font-style:normal;font-size:10.5px;line-height:13px;color:var(--quiet)}
.t.u-word b{border-color:var(--word)} .t.u-phrase b{border-color:var(--phrase)}
.t.u-entity b{border-color:var(--entity)}
.t.open{padding-left:2px} .t.close{padding-right:2px} .t.space{padding-left:.55em}
.t.special b{color:var(--quiet)}
.card.mask p.quiet{font-size:12.5px;margin:0;max-width:none;line-height:1.45}
.keys{display:flex;flex-wrap:wrap;gap:6px 18px;margin:14px 0 0;align-items:center}
.keys .t{height:auto;padding:0} .keys .t b{padding:2px 6px 3px}
"""
"""One sample under several schemes."""

CURVES = """
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:14px}
.plot{width:100%;height:auto} .plot polyline{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}
.plot circle{fill:currentColor} .plot .band{fill:currentColor;opacity:.16} .plot rect{opacity:1}
.c0{color:var(--bar)} .c1{color:var(--warn)} .c2{color:var(--phrase)} .c3{color:var(--entity)} .c4{color:var(--word)}
.c5{color:var(--quiet)} .c6{color:var(--random)} .c7{color:var(--kept)}
.plot .stripe0{fill:transparent} .plot .stripe1{fill:color-mix(in srgb,var(--quiet) 8%,transparent)}
.plot .end{stroke:var(--quiet);stroke-dasharray:2 3;opacity:.7}
.plot .level{stroke:var(--quiet);stroke-dasharray:6 4}
.curves{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:12.5px;margin:4px 0 0}
.curves span::before{content:"";display:inline-block;width:14px;border-top:3px solid currentColor;margin-right:6px}
.curves span::before{vertical-align:3px} .curves .level{color:var(--quiet)}
.curves .level::before{border-top-style:dashed}
.m-skipped{color:var(--random)} .m-spike{color:var(--mask)} .m-rollback{color:var(--entity)}
.m-not_saved{color:var(--mask)} .m-resume{color:var(--word)}
.plot line[class^=m-]{stroke:currentColor;stroke-width:1.4;opacity:.75}
.plot .range{stroke:currentColor;stroke-width:2;opacity:.55} .plot .zero{stroke:var(--quiet)}
.plot .hollow{fill:var(--card);stroke:currentColor;stroke-width:1.6}
.bare .curves{display:none} .warning{color:var(--warn);margin:2px 0}
.matrix{width:auto} .matrix td{padding:5px 10px} .matrix th{padding:4px 10px} .matrix .name{padding-left:0}
.matrix .over{text-align:left;color:var(--ink);border-left:2px solid var(--line)}
.matrix .first{border-left:2px solid var(--line)}
.matrix .name{position:sticky;left:0;background:var(--ground)}
.inner{padding-left:18px} .state{margin-top:16px} .narrow table{width:auto} .narrow .n{padding-left:26px}
"""
"""Curves over steps, and the matrix of tasks and stages."""

PRINT = "@media print{nav{display:none} h2{break-after:avoid} .card,.passage{break-inside:avoid}}"


def stylesheet() -> str:
    """All rules, for both kinds of screens."""
    light, dark = ("".join(f"--{name}:{pair[side]};" for name, pair in PALETTE.items()) for side in (0, 1))
    screens = f":root{{color-scheme:light dark;{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
    return f"{screens}{FRAME}{PASSAGES}{LINES}{MASKS}{CURVES}{PRINT}\n"
