"""The paragraphs of docs/masking.md that are written by hand; a backslash joins two lines into one of the page."""

from __future__ import annotations

OPENING = """# Masking schemes

Written by `kmask config reference masking`; edit the docstrings, not this page. Examples are computed, speeds come \
from `benchmarks/RESULTS.md`.

A masking is four choices. A **strategy** says which tokens are hidden together; most are published schemes, and each \
brings the **budget** (how
much is hidden) and the **corruption** (what replaces it) that it was published with; where the source does not say, \
or its program does otherwise,
they are kmask's defaults and the scheme says so. Give `masking.budget` or `masking.corruption` to use others.
Recipes that follow a released program beyond a scheme's defaults lie in `configs/pretrain`: `whole_word`, `realm`, \
`high_rate`, `falling_rate`.
Targets of the **span boundary objective** come free with every scheme. `kmask show masks FOLDER` draws one of your \
samples under all schemes and
counts what each really does to your data; `kmask bench masking FOLDER` measures them on your machine.

Everything is drawn from a key of the sample: the same sample of the same epoch is masked alike with any number of \
workers, processes or machines.
"""

UNITS = """A unit is a piece of text that is hidden as a whole: a word, a phrase or an entity of the prepared data (a \
level of your own counts as a phrase),
or a single token that lies in none. Levels may overlap; a scheme names those it uses in order of precedence. A unit \
of a later level is one only if
all of its tokens are free: one that meets a unit of an earlier level is dropped whole, and its other tokens are left \
to the levels after it, or are
single tokens. `pieces: true` keeps its longest free piece instead. `kmask show masks` counts the units of your data \
that are dropped like this.
A name may mean part of a level: `entity:DATE` its units of one type, `word@zh` those in documents of one language.
Only the rule `cut` ever hides part of a unit. Special tokens are never hidden, and no unit contains one.
"""

EXAMPLES = """In the examples `{ }` is an entity, `« »` a phrase, `‹ ›` a word of several tokens; a Chinese character \
is a token, `improved` is `im` `##proved`.
The line below the text shows what the model sees where a token is hidden: `__` is [MASK], other text is a random \
token, a similar word, or the
token itself. All schemes are drawn under the same key.
"""

STRUCTURE = """Beside masking, `masking.shuffle` puts visible tokens into another order, for a task of kind \
`token_order` (StructBERT). It has these keys:
"""
