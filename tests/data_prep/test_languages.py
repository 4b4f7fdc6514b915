"""Languages: a contract that every file in languages/ keeps, which language a text is in, and a new language as one
file."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_prep.languages as folder
from data_prep.annotating.annotation import WORD, Annotation
from data_prep.cleaning.letters import Letters
from data_prep.corpora.jsonl import Jsonl
from data_prep.documents import Document, Place, Record, Rejected
from data_prep.engines import Engine
from data_prep.filtering.cleaning import Cleaning
from data_prep.filtering.quality import Quality
from data_prep.languages import Language, by_code, declared, languages, recognised
from data_prep.languages.en import English
from data_prep.languages.zh import Chinese
from data_prep.preparing.pipeline import prepare
from data_prep.preparing.plan import Preparation
from data_prep.segmenters import Segmenter
from data_prep.segmenters.spaced import Spaced
from data_prep.sentences import split_sentences
from data_prep.shards import Prepared
from data_prep.vocabularies.vocabulary import Vocabulary
from launch.settings.components import find_kind, kinds, plain, read_config


class Here(Engine):
    """Does everything in this process."""

    def run(self, work: Any, parts: Sequence[int]) -> Iterator[Any]:
        return map(work, parts)


PLACE = Place("f", 1, 0)
KINDS = kinds(Language)


@cache
def language(kind: str) -> Language:
    cls = find_kind(Language, kind)
    assert cls is not None
    return cls()


# --- the contract
# ---------------------------------------------------------------------------------------------------------------

every_language = pytest.mark.parametrize("kind", KINDS)


def test_the_folder_is_the_list_of_languages() -> None:
    assert {found.code for found in languages()} == set(KINDS)
    assert [found.code for found in languages()] == sorted(KINDS, key=lambda kind: (language(kind).asked, kind))
    assert languages()[-1].code == folder.OTHER


@every_language
def test_a_language_is_a_documented_frozen_component(kind: str, check_component: Callable[[type], None]) -> None:
    check_component(type(language(kind)))
    assert language(kind).code == kind
    assert pickle.loads(pickle.dumps(language(kind))) == language(kind)


@every_language
def test_a_language_knows_its_own_trial_text_and_finds_its_words(kind: str) -> None:
    spoken = language(kind)
    assert recognised(by_code(), Letters(spoken.trial)) == kind
    assert Letters(spoken.trial).within(spoken.scripts) > 0
    segmenter = spoken.segmenter()
    assert isinstance(segmenter, Segmenter)
    assert segmenter.version()
    words_W2 = segmenter.words(spoken.trial)
    assert words_W2.shape == (len(words_W2), 2) and len(words_W2)


@every_language
def test_declared_names_are_small_letters_and_of_one_language(kind: str) -> None:
    names = [kind, *language(kind).names]
    assert names == [name.lower().strip() for name in names]
    others = {name for code in KINDS if code != kind for name in (code, *language(code).names)}
    assert not set(names) & others


@every_language
def test_every_mark_that_ends_a_sentence_ends_one(kind: str) -> None:
    for stop in language(kind).stops:
        text = f"一{stop}二"
        characters = Document(id="", language=kind, text=text, title="", source="").characters
        assert len(split_sentences(characters, language(kind).ends)[0]) == 2


@every_language
def test_facts_enter_the_fingerprint_as_plain_values(kind: str) -> None:
    found = language(kind).fingerprint()
    assert json.loads(json.dumps(found)) == found
    assert found != language(KINDS[KINDS.index(kind) - 1]).fingerprint()


@every_language
def test_quality_explains_every_language(kind: str) -> None:
    rules = [verdict.rule for verdict in Quality().explain(language(kind).trial * 5, kind)]
    assert {"symbol ratio", "digit ratio", "boilerplate"} <= set(rules)


@every_language
@settings(max_examples=100)
@given(text=st.text(max_size=60))
def test_any_text_is_in_one_language_and_the_same_one_again(kind: str, text: str) -> None:
    found = Cleaning().language(text)
    assert found in KINDS
    assert Cleaning().language(text) == found
    assert isinstance(language(kind).speaks(Letters(text)), bool)


# --- which language
# -------------------------------------------------------------------------------------------------------------

TEXTS = [
    ("政府は来年度の予算案を閣議決定した。", "other"),
    ("彼は東京へ行きました。", "other"),
    ("これはペンです。", "other"),
    ("東京都知事選挙の結果発表", "other"),
    ("日本国憲法は、日本の現行の憲法典である。", "other"),
    ("コンピュータ・プログラミング入門", "other"),
    ("Pythonでプログラムを書く方法について説明します。", "other"),
    ("ﾊﾝｶｸｶﾅﾀﾞｹﾉ文", "other"),
    ("한국어는 한국에서 쓰는 언어이다.", "other"),
    ("서울특별시(서울特別市)는 대한민국의 수도이다.", "other"),
    ("삼성전자가 Galaxy S24를 공개했다.", "other"),
    ("Москва — столица России.", "other"),
    ("Слово «你好» по-китайски значит «здравствуйте».", "other"),
    ("Компания Microsoft выпустила новую версию Windows.", "other"),
    ("القاهرة هي عاصمة جمهورية مصر العربية.", "other"),
    ("กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", "other"),
    ("नई दिल्ली भारत की राजधानी है।", "other"),
    ("Η Αθήνα είναι η πρωτεύουσα της Ελλάδας.", "other"),
    ("ירושלים היא עיר הבירה של ישראל.", "other"),
    ("თბილისი საქართველოს დედაქალაქია.", "other"),
    ("长江是中国最长的河流。", "zh"),
    ("長江是中國最長的河流，發源於青藏高原。", "zh"),
    ("我喜欢看《ドラえもん》这部动画片。", "zh"),
    ("“ありがとう”这个词的意思是谢谢。", "zh"),
    ("“カラオケ”一詞傳入臺灣後寫作「卡拉OK」，產生了許多新說法。", "zh"),
    ("安室奈美惠（日语：あむろ なみえ）是日本的女歌手，出生于冲绳县那霸市。", "zh"),
    ("他说了一句안녕하세요就走了，留下我们几个人。", "zh"),
    ("他去莫斯科（Москва）出差了。", "zh"),
    ("用 Python 写一个 tokenizer 模块", "zh"),
    ("二〇〇八年，人人参与。", "zh"),
    ("〇", "zh"),
    ("𰻝𰻝面是陕西的一种面食。", "zh"),
    ("在 GitHub 上提交 pull request 之前，请先阅读 README。", "zh"),
    ("The river rises in the west.", "en"),
    ("The city of 北京 lies in the north of the country and has a long history.", "en"),
    ("The word for thank you is ありがとう in Japanese, which every visitor learns on the first day.", "en"),
    ("Pushkin (Пушкин) wrote novels in verse.", "en"),
    ("The angles α, β and γ add up to π.", "en"),
    ("Café naïve façade, Łódź and Ærøskøbing are names.", "en"),
    ("watashi wa gakusei desu", "en"),  # by its letters; only a declared language says otherwise
    ("def main(argv): return {k: v for k, v in argv.items()}", "en"),
    ("𝓗𝓮𝓵𝓵𝓸 𝔀𝓸𝓻𝓵𝓭", "en"),
    ("ＨＥＬＬＯ　ｗｏｒｌｄ", "en"),
    ("1234567890", "en"),  # no letters: whatever it is, nothing is cut out of it
    ("😀😀👍🏽🎉", "en"),
    ("……——！！", "en"),
    ("\ud83d\ude00 \udc00", "en"),
    ("", "en"),
]


@pytest.mark.parametrize(("text", "code"), TEXTS)
def test_a_text_is_in_the_language_of_its_letters(text: str, code: str) -> None:
    assert Cleaning().language(text) == code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        *(
            ("zh", "zh"),
            ("ZH", "zh"),
            ("zh-TW", "zh"),
            ("zh_Hans_CN", "zh"),
            ("zho", "zh"),
            ("cmn-Hans", "zh"),
            ("Chinese", "zh"),
            ("cn", "zh"),
        ),
        *(("en", "en"), ("en-US", "en"), ("eng", "en"), ("English", "en"), (" en ", "en")),
        *(
            ("ja", "other"),
            ("jpn", "other"),
            ("ko-KR", "other"),
            ("fr", "other"),
            ("ru", "other"),
            ("vi", "other"),
            ("other", "other"),
        ),
        *(("und", None), ("unknown", None), ("N/A", None), ("3", None), ("-", None), ("nan", None), ("Japanese", None)),
    ],
)
def test_what_a_document_declares_is_understood_or_left_to_its_letters(said: str, code: str | None) -> None:
    assert declared(by_code(), said) == code


def record(text: str, said: str = "") -> Record:
    return Record(text=text, id="a", title="", language=said, place=PLACE)


@pytest.mark.parametrize(
    ("text", "said"), [("東京都庁舎", "ja"), ("Bonjour tout le monde.", "fr"), ("Xin chào các bạn", "vi")]
)
def test_a_declared_language_without_a_file_is_never_taken_for_one_with_a_file(text: str, said: str) -> None:
    document = Cleaning().clean(record(text, said), "s")
    assert isinstance(document, Document) and document.language == "other"


def test_other_languages_are_set_aside_where_the_list_leaves_them_out() -> None:
    cleaning = Cleaning(languages=[Chinese(), English()])
    assert cleaning.clean(record("彼は東京へ行きました。"), "s") == Rejected(
        PLACE, "other language", "by its letters, none of zh, en (`cleaning.languages`)"
    )
    assert cleaning.clean(record("Bonjour", "fr"), "s") == Rejected(
        PLACE, "other language", "declared 'fr', none of zh, en (`cleaning.languages`)"
    )
    for text in ("长江。", "The river.", "2024"):
        assert isinstance(cleaning.clean(record(text), "s"), Document)


@pytest.mark.parametrize("chosen", [[], [Chinese(), Chinese()]])
def test_languages_are_named_once_and_at_least_one(chosen: list[Language]) -> None:
    with pytest.raises(ValueError, match=r"^languages: "):
        Cleaning(languages=chosen)


def test_the_order_of_the_list_changes_nothing() -> None:
    one, two = Cleaning(languages=[English(), Chinese()]), Cleaning(languages=[Chinese(), English()])
    assert one.fingerprint() == two.fingerprint()
    assert all(one.language(text) == two.language(text) for text, _ in TEXTS)


# --- words and sentences of other languages
# -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Мама мыла раму.", ["Мама", "мыла", "раму"]),
        ("한국의 수도", ["한국의", "수도"]),
        ("これはペンです。I see", ["see"]),
        ("กรุงเทพ is big", ["is", "big"]),
        ("佐々木さん", []),
        ("", []),
    ],
)
def test_runs_of_scripts_without_spaces_are_no_words(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in Spaced().words(text).tolist()] == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Он ушёл. Дождь шёл.", ["Он ушёл.", "Дождь шёл."]),
        ("서울은 크다. 부산은 작다.", ["서울은 크다.", "부산은 작다."]),
        ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", "نعم."]),
        ("दिल्ली राजधानी है। वह बड़ी है।", ["दिल्ली राजधानी है।", "वह बड़ी है।"]),
        ("и т. д. в городе", ["и т. д. в городе"]),
    ],
)
def test_sentences_of_other_languages_end_by_their_own_marks(text: str, expected: list[str]) -> None:
    document = Document(id="", language="other", text=text, title="", source="")
    annotated = Annotation(segmenters={"other": Spaced()}, annotators=[], labels={WORD: 0}).annotate(document)
    assert [text[start:end] for start, end in annotated.sentences_S2.tolist()] == expected


def test_han_in_another_language_goes_to_no_chinese_segmenter() -> None:
    preparation = Preparation(output="x", corpora=[Jsonl(paths=["x"])])
    annotation = Annotation(segmenters=preparation.all_segmenters, annotators=[], labels={WORD: 0})

    def words(text: str, code: str) -> list[str]:
        found = annotation.words(Document(id="", language=code, text=text, title="", source=""))
        return [text[start:end] for start, end in np.asarray(found).tolist()]

    assert words("He saw 北京大学 there", "en") == ["He", "saw", "北京大学", "there"]
    assert words("東京大学の学生", "other") == []


# --- a new language is one file
# ---------------------------------------------------------------------------------------------------

JA = '''
"""Japanese, for a test."""

from dataclasses import dataclass

from data_prep.cleaning.letters import KANA_RANGES
from data_prep.code_points import HAN_RANGES
from data_prep.cleaning.verdicts import Verdict
from data_prep.languages import Language
from data_prep.segmenters.pretokenizer import Pretokenizer


@dataclass(frozen=True, kw_only=True)
class Japanese(Language):
    """Japanese: kana among Han characters."""

    least_kana: float = 0.1
    """Least share of kana."""
    code = "ja"
    names = ("jpn", "japanese")
    scripts = (*HAN_RANGES, *KANA_RANGES)
    trial = "これはペンです。"
    stops = "｡"
    spaced = False
    function_words = ("は", "の")

    def segmenter(self):
        return Pretokenizer()

    def speaks(self, letters):
        return letters.kana >= self.least_kana * max(1, letters.han + letters.kana) and not letters.chinese

    def verdicts(self, page, limits):
        yield Verdict("kana ratio", page.share(sum("ぁ" <= character <= "ん" for character in page.text)), self.least_kana, False)
'''
DOCUMENTS = [
    {"id": "1", "text": "彼は東京へ行きました。｡そして帰りました。"},
    {"id": "2", "text": "東京都庁舎", "lang": "ja"},
    {"id": "3", "text": "长江是中国最长的河流。"},
    {"id": "4", "text": "The river is long."},
    {"id": "5", "text": "Москва — столица России."},
    {"id": "6", "text": "コンピュータ入門"},
]


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file ja.py in the folder of languages, and no other change."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "ja.py").write_text(JA, encoding="utf-8")
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path / "more")])
    importlib.invalidate_caches()
    languages.cache_clear()
    yield
    languages.cache_clear()
    sys.modules.pop("data_prep.languages.ja", None)


def prepared(tmp_path: Path, tokenizer_folder: Path, **settings: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The counts of a run over DOCUMENTS, and the language of each document in the shards."""
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in DOCUMENTS), encoding="utf-8"
    )
    preparation = Preparation(
        output=str(tmp_path / "out"),
        corpora=[Jsonl(paths=[str(tmp_path / "in.jsonl")])],
        vocabulary=Vocabulary(path=str(tokenizer_folder)),
        heldout=0.0,
        engine=Here(),
        **settings,
    )
    manifest = prepare(preparation, lambda progress: None)
    shards = Prepared.open(tmp_path / "out").shards("train")
    return manifest["counts"], {
        shard.text_of("id", row): shard.text_of("language", row) for shard in shards for row in range(len(shard))
    }


def test_a_file_dropped_into_the_folder_is_a_language(dropped: None, tmp_path: Path, tokenizer_folder: Path) -> None:
    assert [found.code for found in languages()] == ["ja", "zh", "en", "other"]
    counts, found = prepared(tmp_path, tokenizer_folder, quality=Quality(min_characters=1))
    assert found == {"1": "ja", "3": "zh", "4": "en", "5": "other"}
    assert counts["documents.in.ja"] == 1
    assert (
        counts["rejected.quality: kana ratio"] == 2
    )  # its own rule, on the documents that it recognised and that declared it
    assert (counts["documents.in.zh"], counts["documents.in.en"], counts["documents.in.other"]) == (1, 1, 1)
    assert counts["words.ja"] > 0
    assert Cleaning().language("彼は東京へ") == "ja"
    assert Jsonl(paths=["x"], language="ja").language == "ja"


def test_a_module_of_the_users_is_a_language(
    tmp_path: Path, tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "our_languages").mkdir()
    (tmp_path / "our_languages" / "__init__.py").write_text('"""Ours."""\n')
    (tmp_path / "our_languages" / "japanese.py").write_text(JA, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "data.yaml").write_text(
        f"output: {tmp_path}/out\ncorpora: [{{kind: jsonl, paths: [{tmp_path}/in.jsonl]}}]\n"
        "cleaning: {languages: [zh, en, {kind: our_languages.japanese, least_kana: 0.2}]}\n",
        encoding="utf-8",
    )
    configured = read_config(Preparation, tmp_path / "data.yaml", [])
    assert plain(configured.cleaning)["languages"][2] == {"kind": "our_languages.japanese", "least_kana": 0.2}
    counts, found = prepared(tmp_path, tokenizer_folder, cleaning=configured.cleaning)
    assert found == {"1": "ja", "2": "ja", "3": "zh", "4": "en", "6": "ja"}
    assert counts["documents.in.ja"] == 3
    assert counts["rejected.other language"] == 1
    assert "documents.in.other" not in counts


def test_a_language_that_is_not_in_the_list_is_refused_where_it_is_named() -> None:
    for arguments, message in (
        ({"segmenters": {"ja": Spaced()}}, "segmenters: ja unknown; languages are zh, en, other"),
        ({"corpora": [Jsonl(paths=["x"], language="ja")]}, "corpora: language 'ja' is not one of zh, en, other"),
    ):
        with pytest.raises(ValueError, match=message):
            Preparation(**{"output": "x", "corpora": [Jsonl(paths=["x"])], **arguments})


def test_other_languages_are_counted_and_kept_by_default(tmp_path: Path, tokenizer_folder: Path) -> None:
    counts, _ = prepared(tmp_path, tokenizer_folder)
    assert {name: count for name, count in counts.items() if name.startswith("documents.")} == {
        "documents.in.en": 1,
        "documents.in.other": 4,
        "documents.in.zh": 1,
    }
