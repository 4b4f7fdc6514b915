"""Read every input once: its hash, its size, and where it may be divided.

    files [(corpus, path)]  --one file at a time, by any engine-->  Survey (sha256, size, slices)

Files of a large corpus are surveyed in parallel and by every launch that shares the folder, and what was found is kept under
PREPARED/survey: a file whose size, times and inode are as they were is not read again when the run is continued. The slices of
compressed files are kept unpacked under PREPARED/unpacked until the run has finished.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from data_prep.corpora import Corpus, Slice, Survey
from data_prep.engines import Engine
from data_prep.files import read_json, sha256_json, write_json
from data_prep.running.supervision import Moment, Task, Watch, run_all

SHARED_BYTES = 1 << 24
"""Smaller corpora are surveyed faster than a process starts."""
UNPACKED, SURVEYS = "unpacked", "survey"
FORMAT = 2
"""Raised when a survey of an unchanged file may come out differently."""


class Surveyed(NamedTuple):
    """The survey of one of the files."""

    number: int
    survey: Survey


@dataclass(frozen=True, kw_only=True)
class Surveyor(Task):
    """Surveys one of the files; sent to worker processes."""

    corpora: Sequence[Corpus]
    files: Sequence[tuple[int, Path]]
    """Corpus and path of every file."""
    part_bytes: int
    """Size of slices."""
    watch: Watch
    stage: str = "survey"

    def kept(self, part: int) -> Path | None:
        """Where the survey of a file as it is now is kept; None when it cannot be looked at."""
        number, path = self.files[part]
        try:
            file = self.corpora[number].identity(path)
        except OSError:
            return None
        key = sha256_json([FORMAT, settings_of(self.corpora[number], drop=("paths",)), file, self.part_bytes])
        return self.watch.folder / SURVEYS / f"{key[:24]}.json"

    def finished(self, part: int) -> Surveyed | None:
        kept = self.kept(part)
        if kept is None or not kept.is_file():
            return None
        try:
            found = read_json(kept)
            slices = [Slice(str(self.files[part][1]), *piece) for piece in found["slices"]]
            return Surveyed(part, Survey(found["sha256"], found["size"], slices))
        except (ValueError, KeyError, TypeError):
            return None

    def make(self, part: int) -> Surveyed:
        kept = self.kept(part)  # before it is read: a file that changes meanwhile is not taken for the new one
        survey = self.survey(part, self.watch.folder / UNPACKED)
        if kept is not None:
            write_json(kept, {"sha256": survey.sha256, "size": survey.size, "slices": [piece[1:] for piece in survey.slices]})
        return Surveyed(part, survey)

    def survey(self, part: int, unpacked: Path | None) -> Survey:
        """Read one file."""
        number, path = self.files[part]
        return self.corpora[number].survey(path, self.part_bytes, unpacked)

    def path_of(self, part: int, moment: Moment | None) -> str:
        return str(self.files[part][1])


def survey_all(surveyor: Surveyor, engine: Engine | None, unpacked: Path | None, listen: Callable[[int], None]) -> list[Survey]:
    """The surveys of all files, in their order; ``listen`` hears how many bytes are read.

    Without an engine they are made here and not kept, apart from what ``unpacked`` is for.
    """
    sizes = [surveyor.corpora[number].disk_bytes(path) for number, path in surveyor.files]
    parts = range(len(sizes))
    found: dict[int, Survey] = {}
    seen = 0
    results = run_all(engine, surveyor, parts) if engine else (Surveyed(part, surveyor.survey(part, unpacked)) for part in parts)
    for result in results:
        found[result.number] = result.survey
        seen += sizes[result.number]
        listen(seen)
    return [found[part] for part in parts]


def settings_of(component: Any, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    """A component's kind and settings, for fingerprints."""
    module = type(component).__module__
    settings = {item.name: getattr(component, item.name) for item in dataclasses.fields(component) if item.name not in drop}
    if settings.get("encoding") == "utf-8":  # folders begun before there was a choice go on
        del settings["encoding"]
    return {"kind": module.rsplit(".", 1)[-1], **settings}
