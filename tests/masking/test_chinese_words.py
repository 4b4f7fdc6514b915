"""Chinese without spaces: what transformers' whole-word collator hides and what we hide, on the same sentence and
vocabulary."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from toy_samples import keys

from data_prep.annotating.annotation import WORD, Annotation
from data_prep.documents import Document
from data_prep.encoding import Tokenizer, encode
from data_prep.segmenters.rjieba import Rjieba
from data_prep.vocabularies.tokenizer_folders import SPECIAL_TOKENS
from data_prep.vocabularies.vocabulary import from_vocab_txt, save
from masking.budget import Budget
from masking.corruption import Corruption, Replacements
from masking.spans import Units
from masking.strategies.whole_unit import WholeUnit

SENTENCE = "哈尔滨是黑龙江的省会，我爱北京天安门。"
THEIR_DRAWS = 400
OUR_DRAWS = 20_000
SHOWN = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer folder whose vocabulary is the special tokens and the characters of the sentence."""
    home = tmp_path_factory.mktemp("tokenizer")
    vocabulary = home / "characters.txt"
    vocabulary.write_text("\n".join([*SPECIAL_TOKENS, *dict.fromkeys(SENTENCE)]) + "\n", encoding="utf-8")
    save(from_vocab_txt(vocabulary, lowercase=True), home, lowercase=True)
    return home


def their_draws(folder: Path) -> list[frozenset[int]]:
    """Positions of the sentence (0 is 哈) that transformers hides in each draw."""
    from transformers import AutoTokenizer, DataCollatorForLanguageModeling

    tokenizer = AutoTokenizer.from_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that random replacement is switched off
        collator = DataCollatorForLanguageModeling(tokenizer, whole_word_mask=True, mlm_probability=0.15, seed=3)
    example = tokenizer(SENTENCE, return_offsets_mapping=True, return_special_tokens_mask=True)
    assert tokenizer.convert_ids_to_tokens(example["input_ids"]) == ["[CLS]", *SENTENCE, "[SEP]"]
    labels = collator([dict(example) for _ in range(THEIR_DRAWS)])["labels"].numpy()
    return [frozenset((np.flatnonzero(row != -100) - 1).tolist()) for row in labels]


def our_sample(folder: Path) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Ids of the sentence and its words as token ranges, by rjieba and the tokenizer's offsets."""
    document = Document(id="1", language="zh", text=SENTENCE, title="", source="test")
    encoded = encode(
        Annotation(segmenters={"zh": Rjieba()}, annotators=[], labels={WORD: 0}).annotate(document),
        Tokenizer(folder=folder),
    )
    words = encoded.units["word"]
    pairs = zip(words.start_U.tolist(), words.length_U.tolist(), strict=True)
    return encoded.token_ids_T.astype(np.int64), [(start, start + length) for start, length in pairs]


def our_draws(ids_T: np.ndarray, words: list[tuple[int, int]]) -> tuple[list[frozenset[int]], np.ndarray]:
    """Positions of the sentence hidden under each key, and the corrupted ids, one row a draw."""
    length = len(ids_T) + 2
    start_S = (np.arange(OUR_DRAWS) * length).astype(np.int32)
    maskable_T = np.tile(np.array([False, *[True] * len(ids_T), False]), OUR_DRAWS)
    sides = np.array(words, np.int32) + 1
    columns = tuple((start_S[:, None] + sides[None, :, side]).ravel() for side in (0, 1))
    units = Units(
        sample_start_S=start_S, sample_end_S=start_S + np.int32(length), maskable_T=maskable_T, levels={"word": columns}
    )
    spans = WholeUnit(units=["word"]).select(units, Budget(at_least_one=False), keys(OUR_DRAWS), np.zeros(OUR_DRAWS))
    flat_T = np.tile(np.array([2, *ids_T.tolist(), 3]), OUR_DRAWS)
    corrupted_T, _ = Corruption(mask=1.0, random=0.0).corrupt(
        flat_T, spans, units, keys(OUR_DRAWS, 1), Replacements(mask_id=4, ordinary_V=np.arange(5, 20))
    )
    hidden: list[set[int]] = [set() for _ in range(OUR_DRAWS)]
    for sample, start, end in zip(spans.sample_N.tolist(), spans.start_N.tolist(), spans.end_N.tolist(), strict=True):
        hidden[sample].update(range(start - sample * length - 1, end - sample * length - 1))
    return [frozenset(positions) for positions in hidden], corrupted_T.reshape(OUR_DRAWS, length)


def shown(hidden: frozenset[int]) -> str:
    return "".join("＿" if position in hidden else character for position, character in enumerate(SENTENCE))


def test_chinese_sentence_without_spaces_is_masked_by_words(folder: Path) -> None:
    """transformers: 400 draws, each hides the whole line or nothing. Ours: 20,000 draws, whole words, share 0.15 +-
    0.005."""
    # Theirs: a line hidden with probability .15 is seen both ways in 400 draws but for (.85 ** 400) = 6e-29.
    # Ours: one draw's share has a standard deviation of .048, so the mean's is .00034 and the tolerance 14 of them.
    theirs = their_draws(folder)
    everything = frozenset(range(len(SENTENCE)))
    assert set(theirs) == {frozenset(), everything}

    ids_T, words = our_sample(folder)
    assert [SENTENCE[start:end] for start, end in words] == ["哈尔滨", "黑龙江", "省会", "北京", "天安门"]
    ours, corrupted_SL = our_draws(ids_T, words)
    for hidden in set(ours):
        assert all(len(hidden & set(range(start, end))) in (0, end - start) for start, end in words)
    assert everything not in ours
    assert abs(np.mean([len(hidden) for hidden in ours]) / len(SENTENCE) - 0.15) < 0.005
    alone = Counter(hidden for hidden in ours)
    assert all(alone[frozenset(range(start, end))] > 0 for start, end in words)
    assert len(alone) > 50
    assert all(
        (corrupted_SL[number, 1:-1] == 4).nonzero()[0].tolist() == sorted(hidden)
        for number, hidden in enumerate(ours[:200])
    )

    print(f"\n{'transformers, whole_word_mask=True':<42}kmask, whole_unit over rjieba words")
    for left, right in zip(theirs[:SHOWN], ours[:SHOWN], strict=True):
        print(f"{shown(left):<24}{shown(right)}")
    print(
        f"lines hidden completely: {theirs.count(everything)} of {THEIR_DRAWS}; {ours.count(everything)} of {OUR_DRAWS:,}"
    )
    print(
        f"share hidden: {np.mean([len(h) for h in theirs]) / len(SENTENCE):.3f}; {np.mean([len(h) for h in ours]) / len(SENTENCE):.3f}"
    )
