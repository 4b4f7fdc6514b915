"""Compressed files: whatever they hold is unpacked in bounded steps, and what cannot be unpacked is called what it
is."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.corpora.hub_dataset import HubDataset
from data_prep.corpora.jsonl import Jsonl
from data_prep.corpora.pairs import LabelledPairs
from data_prep.documents import Rejected
from data_prep.filtering.evaluation_files import read_texts
from data_prep.inputs import streams, text_lines
from data_prep.inputs.streams import decompressed, is_damage, open_bytes
from data_prep.inputs.text_lines import lines_of

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 1 << 17
MAGIC = (0xFD2FB528).to_bytes(4, "little")
PEAK = """
import sys
from pathlib import Path
from data_prep.inputs.streams import open_bytes, rest_of_line

def peak():  # of this program: what getrusage tells begins with the peak of the process that started it
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

size, before = 0, peak()
with open_bytes(Path(sys.argv[1])) as stream:
    for block in rest_of_line(stream, None):
        size += len(block)
print(size, peak() - before)
"""


def repetitive(blocks: int, window: int = 7 << 3, skippable: bool = False) -> bytes:
    """A frame of blocks of four bytes that each stand for 128 KiB of the letter a, with a window of 2 ** (10 + window /
    8)."""
    block = ((BLOCK << 3) | 2).to_bytes(3, "little") + b"a"
    last = ((BLOCK << 3) | 3).to_bytes(3, "little") + b"a"
    other = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"12345" if skippable else b""
    return other + MAGIC + bytes([0, window]) + block * (blocks - 1) + last


BOMBS: dict[str, Callable[[], bytes]] = {
    ".zst": lambda: repetitive(5700, skippable=True),
    ".gz": lambda: gzip.compress(b"a" * (200 << 20), 1),
    ".bz2": lambda: bz2.compress(b"a" * (200 << 20), 1),
    ".xz": lambda: lzma.compress(b"a" * (200 << 20), preset=0),
}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("suffix", BOMBS)
def test_a_file_that_unpacks_to_hundreds_of_megabytes_takes_few(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"x{suffix}"
    file.write_bytes(BOMBS[suffix]())
    run = subprocess.run([sys.executable, "-c", PEAK, str(file)], cwd=ROOT, capture_output=True, text=True, check=True)
    size, kilobytes = map(int, run.stdout.split())
    assert size >= 200 << 20 and file.stat().st_size < size / 200
    assert kilobytes < 60_000


def test_a_line_that_never_ends_is_set_aside_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("data_prep.corpora", "data_prep.inputs.streams", "data_prep.corpora.pairs"):
        monkeypatch.setattr(f"{module}.LONGEST_DOCUMENT", 1 << 20)
    file = tmp_path / "x.jsonl.zst"
    file.write_bytes(repetitive(100) + zstandard.compress(b'\n{"first": "one", "text": "one"}\n'))
    for corpus in (
        Jsonl(paths=[str(file)]),
        LabelledPairs(paths=[str(file)], first_key="first", second_key="", label_key="", allow_unlabelled=True),
    ):
        first, second = [item for piece in corpus.survey(file, 1 << 30).slices for item in corpus.read(piece)]
        assert (
            isinstance(first, Rejected)
            and first.reason == "document too long"
            and f"{100 * BLOCK + 1} bytes" in first.detail
        )
        assert second.place.line == 2 and not isinstance(second, Rejected)


def test_a_list_with_a_line_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 1 << 20)
    monkeypatch.setattr(streams.lines_within, "__defaults__", (1 << 20,))
    (tmp_path / "x.txt.zst").write_bytes(zstandard.compress(b"one\ntwo\n") + repetitive(100))
    with pytest.raises(ValueError, match=r"lexicon .*x\.txt\.zst: line 3 has more than 1,048,576 bytes"):
        monkeypatch.setattr(text_lines, "BLOCK_BYTES", 16)
        list(lines_of(str(tmp_path / "x.txt.zst"), [], what="lexicon"))
    with pytest.raises(ValueError, match=r"x\.txt\.zst:3: a line of more than 1,048,576 bytes"):
        list(read_texts(tmp_path / "x.txt.zst", []))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").write_bytes(b'{"text": "' + b"a" * (2 << 20))
    with pytest.raises(ValueError, match=r"train\.jsonl:1: a line of more than"):
        HubDataset(paths=["x"]).survey(tmp_path / "data", 1000)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("江水ab\n\r#", max_size=30), max_size=30), st.integers(1, 40))
def test_lists_are_read_the_same_in_blocks_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], block: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "list.txt"
    file.write_text("".join(pieces), encoding="utf-8", newline="")
    text = "".join(pieces).removesuffix("\n").removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
    expected = [
        (number, line)
        for number, line in enumerate(text.split("\n"), 1)
        if line and line[0] != "#" and not line.isspace()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_lines, "BLOCK_BYTES", block)
        assert list(lines_of(str(file), [], what="list")) == expected


# --- zstandard
# ------------------------------------------------------------------------------------------------------------------


def unpacked(content: bytes, folder: Path) -> bytes:
    file = folder / "x.zst"
    file.write_bytes(content)
    with open_bytes(file) as stream:
        return stream.read()


@pytest.mark.parametrize("log", [17, 27, 28, 30, 31])
def test_long_windows_are_read(log: int, tmp_path: Path) -> None:
    assert unpacked(repetitive(3, (log - 10) << 3), tmp_path) == b"a" * 3 * BLOCK


def test_a_file_made_with_a_long_window_is_read(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(1 << 20)
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    packer = zstandard.ZstdCompressor(
        compression_params=parameters
    ).compressobj()  # its content's size is unknown: the window stays long
    content = packer.compress(noise + bytes(1 << 20) + noise) + packer.flush()
    with pytest.raises(zstandard.ZstdError):
        zstandard.ZstdDecompressor().decompressobj().decompress(content)
    assert unpacked(content, tmp_path) == noise + bytes(1 << 20) + noise


def test_a_window_too_large_is_called_so_and_costs_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"x\.zst needs 4,294,967,296 bytes of memory to unpack; at most 2,147,483,648 \(zstd --long=31\)",
    ):
        unpacked(repetitive(3, 22 << 3), tmp_path)


def test_a_dictionary_is_called_so(tmp_path: Path) -> None:
    samples = [b'{"text": "The river number %d rises in the west."}' % number for number in range(2000)]
    dictionary = zstandard.train_dictionary(4096, samples)
    with pytest.raises(
        ValueError,
        match=rf"x\.zst is compressed with a dictionary \(number {dictionary.dict_id()}\).*zstd -d -D DICTIONARY",
    ):
        unpacked(zstandard.ZstdCompressor(dict_data=dictionary).compress(samples[0]), tmp_path)


@pytest.mark.parametrize(
    "settings", [{}, {"write_checksum": True}, {"write_content_size": False}, {"level": 19}, {"threads": 2}]
)
@pytest.mark.parametrize("size", [0, 1, 255, 256, 300, 65_791, 65_792, BLOCK, BLOCK + 1, 1 << 20])
def test_every_kind_of_frame_is_read_whole_and_every_cut_is_told(
    settings: dict[str, int], size: int, tmp_path: Path
) -> None:
    draw = random.Random(size)
    for content in (draw.randbytes(size), bytes(size), (b"The river rises in the west. " * (size // 20 + 1))[:size]):
        frame = zstandard.ZstdCompressor(**settings).compress(content)
        assert unpacked(frame, tmp_path) == content
        assert unpacked(frame * 3, tmp_path) == content * 3
        for cut in {1, 3, 4, 5, 6, len(frame) // 2, len(frame) - 1} - {0, len(frame)}:
            with pytest.raises(ValueError, match="is damaged or cut short"):
                unpacked(frame + frame[:cut], tmp_path)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_damage(data: st.DataObject) -> None:
    import io

    content = bytearray(
        zstandard.ZstdCompressor(write_checksum=True).compress(
            b"The river rises in the west. " * 50 + random.Random(1).randbytes(500)
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        decompressed(io.BytesIO(bytes(content))).read()
    except Exception as error:
        assert is_damage(error), error
