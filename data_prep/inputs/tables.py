"""Arrow tables -> records: what the readers of Parquet files and of `datasets` share.

    columns text, id, title, lang of a table   ->   one Record (or Rejected) a row

Text is taken out of Arrow as bytes and decoded row by row, so that one row with broken UTF-8 costs one row. A row's
Place has its 1-based number as its line and its 0-based number as its offset.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.documents import Place, Record, Rejected
from data_prep.inputs.raw_text import decode, stand_in_id

ROLES = ("text", "id", "title", "language")
Values = dict[str, list[bytes | None]]
"""By what a column holds (`text`, `id`, `title`, `language`): one value a row, as UTF-8."""


@contextlib.contextmanager
def naming(path: Path, complaint: str, remedy: str = "") -> Iterator[None]:
    """Let every error inside name the file: those of Arrow and of `datasets` do not.

    Raises:
        ValueError: ``path complaint (the error)``, for any error that does not name the path itself.
    """
    try:
        yield
    except GeneratorExit:
        raise
    except Exception as error:
        if str(path) in str(error) and isinstance(error, ValueError | OSError):
            raise
        raise ValueError(f"{path} {complaint} ({type(error).__name__}: {error}){remedy}") from None


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """Settings that the readers of tables share: which column holds what."""

    text_key: str = "text"
    """Column of the document's text."""
    id_key: str = "id"
    """Column of the identifier; source and row number stand in when it is absent."""
    title_key: str = "title"
    """Column of the title, when there is one."""
    language_key: str = "lang"
    """Column of the language (`zh`, `en`), when there is one."""

    def columns(self, schema: Any, where: object) -> dict[str, str]:
        """The columns to read by what they hold: ``{"text": "content", "id": "id"}``; one that is absent and not asked
        for is left out.

        Raises:
            ValueError: a column named in the configuration is not in ``schema``, or the text is not text; lists the
            columns.
        """
        import pyarrow as pa

        found: dict[str, str] = {}
        for field in dataclasses.fields(TableColumns):
            role = field.name.removesuffix("_key")
            name = getattr(self, field.name)
            if schema.names.count(name) == 1:
                found[role] = name
            elif role == "text" or name != field.default:
                raise ValueError(
                    f"{where} has no column {name!r} ({field.name}); its columns: "
                    f"{', '.join(map(str, schema.names)) or 'none'}"
                )
        kind = schema.field(found["text"]).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not _is_text(kind):
            raise ValueError(
                f"{where}: column {found['text']!r} (text_key) holds {kind}, not text; its columns: "
                f"{', '.join(map(str, schema.names))}"
            )
        return found

    def values(self, table: Any, where: object) -> Values:
        """What the rows of ``table`` hold: a list with one value a row for each of ``columns``.

        Raises:
            ValueError: a column is missing, or the memory of one does not describe values.
        """
        return {role: column_bytes(table.column(name)) for role, name in self.columns(table.schema, where).items()}

    def records(self, values: Values, first: int, path: str, source: str, language: str) -> Iterator[Record | Rejected]:
        """One result for each row, the first of which is row ``first`` of ``path``; ``language`` (a code) is put before
        what a row says."""
        absent: list[bytes | None] = [None] * len(values["text"])
        metadata = (values.get(role, absent) for role in ("id", "title", "language"))
        for row, (raw, *others) in enumerate(zip(values["text"], *metadata, strict=True), first):
            place = Place(path, row + 1, row)
            text = decode(raw or b"", place._replace(offset=0), remedy=False)
            if isinstance(text, Rejected):
                yield text._replace(place=place, detail=f"row {row + 1}, {text.detail}")
                continue
            if not text.strip():
                yield Rejected(
                    place, "no text", f"row {row + 1}: column {self.text_key!r} is {'null' if raw is None else 'empty'}"
                )
                continue
            id, title, declared = ((value or b"").decode("utf-8", "replace") for value in others)
            yield Record(
                text=text,
                id=id or stand_in_id(raw or b"", place, source),
                title=title,
                language=language or declared,
                place=place,
            )


def column_bytes(column: Any) -> list[bytes | None]:
    """The values of a column as UTF-8: text and bytes as they are, whole numbers in digits, anything else as None.

    Raises:
        pyarrow.ArrowInvalid: the column's memory does not describe values (a damaged file).
    """
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _is_text(kind) and not pa.types.is_integer(kind):
        return [None] * len(column)
    chunks = [_as_bytes(chunk) for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])]
    values = [value for chunk in chunks for value in chunk.to_pylist()]
    return values if _is_text(kind) else [None if value is None else str(value).encode() for value in values]


def _as_bytes(array: Any) -> Any:
    """``array`` with bytes in the place of text, its memory checked: Arrow itself trusts the offsets in a file."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        array.indices.validate(full=True)
        return pa.DictionaryArray.from_arrays(array.indices, _as_bytes(array.dictionary))
    if pa.types.is_string(kind):
        array = array.cast(pa.binary())
    elif pa.types.is_large_string(kind):
        array = array.cast(pa.large_binary())
    elif pa.types.is_string_view(kind):
        array = array.cast(pa.binary_view())
    array.validate(full=True)
    return array


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    checks = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
    )
    return any(check(kind) for check in checks)
