"""Text in which somebody has tagged names token by token, in columns: CoNLL 2003 and what Chinese NER corpora look
like.

    鲁 B-PER          blank lines divide sentences, the last column is the tag:
    迅 I-PER          BIO and IOB1, BIOES, BMES and BMEWO
    生 O              ->  Record(text="鲁迅生于Paris。", given={"entity": (Given(0, 2, "PER"), ...)})

Tokens are joined by a space, but not beside Han characters, kana and Chinese punctuation. A tag that continues nothing
begins an entity, as CoNLL's own scorer has it; a tag that is none, or of a kind that is not declared, sets its document
aside with the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from data_prep.corpora import LineCorpus
from data_prep.corpora.pre_segmented import CHINESE, CLOSED_UP, NEVER
from data_prep.documents import Given, Label, Place, Record, Rejected
from data_prep.inputs.raw_text import decode, stand_in_id

TAG = re.compile(r"O|([BIESMLUW])[-_](\S+)")
DOCUMENT = b"-DOCSTART-"
BEGINS, ENDS = "BSUW", "ESLUW"
"""Tags that begin an entity whatever stands before, and those that end one."""


class Token(NamedTuple):
    """One line."""

    text: str
    mark: str
    """`O`, or where in its entity the token stands: B, I, E, S, M ..."""
    kind: str


@dataclass(frozen=True, kw_only=True)
class Conll(LineCorpus):
    """A token a line with its tag (BIO, IOB1, BIOES, BMES) in a column; blank lines between sentences."""

    kinds: list[str]
    """Every kind that the tags name (`PER`, `LOC` ...); a document with another one is set aside."""
    level: str = "entity"
    """Level of the units."""
    token_column: int = 0
    """Column of the token, from 0; negative: from the end."""
    tag_column: int = -1
    """Column of the tag, from 0; negative: from the end."""
    document: str = "sentence"
    """`sentence`: one document per sentence; `docstart`: up to the next line with -DOCSTART-; `file`: one document per
    file."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kinds or len(set(self.kinds)) < len(self.kinds) or not all(kind.strip() for kind in self.kinds):
            raise ValueError(f"kinds: {self.kinds} must name every kind of entity once, for example [PER, LOC, ORG]")
        if not self.level.strip() or self.level == "word":
            raise ValueError(
                f"level: {self.level!r} must be a name, and not `word` (entity, phrase or one of your own)"
            )
        if self.document not in ("sentence", "docstart", "file"):
            raise ValueError(f"document: {self.document!r} is not one of sentence, docstart, file")
        if self.token_column == self.tag_column:
            raise ValueError(f"tag_column: {self.tag_column} is the token's own column")

    def given_labels(self) -> dict[str, list[Label]]:
        return {self.level: [Label(kind, "user") for kind in self.kinds]}

    def starts_document(self, line: bytes, previous: bytes | None) -> bool:
        if self.document == "sentence":
            return previous is None or (not previous.strip() and bool(line.strip()))
        return previous is None or (self.document == "docstart" and line.startswith(DOCUMENT))

    def parse(self, raw: bytes, place: Place, source: str) -> Record | Rejected | None:
        decoded = decode(raw, place)
        if isinstance(decoded, Rejected):
            return decoded
        sentences: list[list[Token]] = [[]]
        for number, line in enumerate(decoded.split("\n"), place.line):
            if not line.strip() or line.startswith(DOCUMENT.decode()):
                sentences.append([])
                continue
            token = self.token(line, number)
            if isinstance(token, str):
                return Rejected(place, "not a tagged token", token)
            if token:
                sentences[-1].append(token)
        text, given = join_tokens(sentences)
        return (
            Record(
                text=text,
                id=stand_in_id(raw, place, source),
                title="",
                language=self.language,
                place=place,
                given={self.level: given},
            )
            if text
            else None
        )

    def token(self, line: str, number: int) -> Token | str | None:
        """A line's token, what is wrong with it, or None for a comment of CoNLL-U."""
        columns = line.split()
        try:
            text, tag = columns[self.token_column], columns[self.tag_column]
        except IndexError:
            text, tag = "", ""
        match = TAG.fullmatch(tag)
        if match is None or len(columns) < 2:
            return (
                None
                if line.startswith("#")
                else (
                    f"line {number}: {line.strip()[:60]!r} has no tag such as O, B-PER or I-PER in column "
                    f"{self.tag_column}"
                )
            )
        if match[2] and match[2] not in self.kinds:
            return f"line {number}: {tag} is of no declared kind ({', '.join(self.kinds)}). Add it to `kinds`"
        return Token(text, match[1] or "O", match[2] or "")


def join_tokens(sentences: list[list[Token]]) -> tuple[str, tuple[Given, ...]]:
    """The text of tagged sentences, a line each, and the entities in it."""
    pieces: list[str] = []
    found: list[Given] = []
    position = 0
    for sentence in filter(None, sentences):
        closed_up = CLOSED_UP if CHINESE.search("".join(token.text for token in sentence)) else NEVER
        last, kind = "", ""  # kind: of the entity that is open
        for text, mark, named in sentence:
            before = ("" if closed_up.match(last) or closed_up.match(text) else " ") if last else "\n" if pieces else ""
            pieces += [before, text]
            position += len(before) + len(text)
            if named and named == kind and mark not in BEGINS:
                found[-1] = found[-1]._replace(end=position)
            elif named:
                found.append(Given(position - len(text), position, named))
            last, kind = text[-1], "" if mark in ENDS else named
    return "".join(pieces), tuple(found)
