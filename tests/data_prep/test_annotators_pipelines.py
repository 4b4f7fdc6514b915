"""Annotators that look at words and their parts of speech: spaCy pipelines assembled here, jieba's tags, chunk
grammars."""

from __future__ import annotations

import functools
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.annotators import Annotator
from data_prep.annotators.chunks import CHINESE, ENGLISH, Chunks
from data_prep.annotators.part_of_speech import PartOfSpeech
from data_prep.annotators.spacy_pipeline import SpacyPipeline
from data_prep.documents import Document, Label
from data_prep.sentences import split_sentences
from data_prep.spacy_pipelines import factories, pipeline
from data_prep.tagging.tag_patterns import TagMatcher, check_grammar
from data_prep.tagging.tagging import Tagger
from data_prep.word_lists.user_words import TAG_TYPES

MIXED = st.text(alphabet="abcXYZ019 .,-'\n，。“”（）中国人民大学北京上海的了𠮷éßЖщあ😀·", max_size=40)


def document(text: str, language: str) -> Document:
    return Document(id="1", language=language, text=text, title="", source="s")


def units(annotator: Annotator, text: str, language: str = "zh") -> list[tuple[int, int, str]]:
    subject = document(text, language)
    found, labels = annotator.annotate(subject, split_sentences(subject.characters)[0]), annotator.labels()
    return [
        (start, end, labels[label].type)
        for start, end, label in zip(found.start_U.tolist(), found.end_U.tolist(), found.label_U.tolist(), strict=True)
    ]


def found(annotator: Annotator, text: str, language: str = "zh") -> list[tuple[str, str]]:
    return [(text[start:end], kind) for start, end, kind in units(annotator, text, language)]


# --- pipelines made for these tests
# ---------------------------------------------------------------------------------------------

LEXICON = {
    "the": "DET",
    "old": "ADJ",
    "steam": "NOUN",
    "engine": "NOUN",
    "town": "NOUN",
    "was": "AUX",
    "not": "PART",
    "sold": "VERB",
    "Marie": "PROPN",
    "Curie": "PROPN",
}
PENN = {"DET": "DT", "ADJ": "JJ", "NOUN": "NN", "AUX": "VBD", "PART": "RB", "VERB": "VBN", "PROPN": "NNP"}


def annotate_by_hand(doc: Any) -> Any:
    """Parts of speech by a word list; each noun is the head of the words before it, and its own sentence's root."""
    for token in doc:
        token.pos_ = LEXICON.get(token.text, "X")
        token.tag_ = PENN.get(token.pos_, "XX")
        follower = token.i + 1
        nominal = (
            token.pos_ in ("DET", "ADJ", "NOUN", "PROPN")
            and follower < len(doc)
            and LEXICON.get(doc[follower].text) in ("ADJ", "NOUN", "PROPN")
        )
        token.head, token.dep_ = (
            (doc[follower], "compound") if nominal else (token, "nsubj" if token.pos_ in ("NOUN", "PROPN") else "ROOT")
        )
    return doc


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Write a pipeline of a language, with the given components, into a folder."""
    import spacy
    from spacy.language import Language

    Language.component("by_hand", func=annotate_by_hand, assigns=["token.tag", "token.pos", "token.dep", "token.head"])

    def write(language: str, *components: str, patterns: list[Any] | None = None) -> str:
        nlp = spacy.blank(language)
        made = {component: nlp.add_pipe(component) for component in components}
        if "ner" in made:
            made["ner"].add_label("LOC")
            nlp.initialize()
        if "entity_ruler" in made:
            made["entity_ruler"].add_patterns(patterns or [])
        folder = tmp_path_factory.mktemp("pipeline")
        nlp.to_disk(folder)
        return str(folder)

    return write


CITIES = [
    {"label": "GPE", "pattern": "New York"},
    {"label": "PERSON", "pattern": [{"LOWER": "marie"}, {"LOWER": "curie"}]},
    {"label": "GPE", "pattern": "Rome"},
]
STAEDTE = [{"label": "LOC", "pattern": "北京大学"}, {"label": "LOC", "pattern": "上海"}]


# --- spaCy: entities
# ------------------------------------------------------------------------------------------------------------


def test_an_entity_ruler_finds_entities_at_their_characters_in_the_document(save: Callable[..., str]) -> None:
    english = SpacyPipeline(level="entity", pipeline=save("en", "entity_ruler", patterns=CITIES))
    text = "It rained in New York. \n\nMARIE CURIE left Rome! 😀 Rome."
    assert found(english, text, "en") == [
        ("New York", "GPE"),
        ("MARIE CURIE", "PERSON"),
        ("Rome", "GPE"),
        ("Rome", "GPE"),
    ]
    chinese = SpacyPipeline(level="entity", pipeline=save("zh", "entity_ruler", patterns=STAEDTE))
    assert found(chinese, "𠮷先生在北京大学。\n后来去了上海。") == [("北京大学", "LOC"), ("上海", "LOC")]


def test_labels_are_known_beforehand_and_their_origin_follows_the_components(save: Callable[..., str]) -> None:
    rules = SpacyPipeline(level="entity", pipeline=save("en", "entity_ruler", patterns=CITIES))
    assert rules.labels() == [Label("GPE", "lexicon"), Label("PERSON", "lexicon")]
    learned = SpacyPipeline(level="entity", pipeline=save("en", "ner"))
    assert learned.labels() == [Label("LOC", "ner")]
    both = SpacyPipeline(level="entity", pipeline=save("en", "entity_ruler", "ner", patterns=CITIES))
    assert both.labels() == [Label("GPE", "ner"), Label("LOC", "ner"), Label("PERSON", "ner")]
    assert all(kind == "LOC" for _, kind in found(learned, "It rained in Rome. He left.", "en"))


def test_types_rename_labels_and_leave_out_the_others(save: Callable[..., str]) -> None:
    subject = SpacyPipeline(level="entity", pipeline=save("en", "entity_ruler", patterns=CITIES), types={"GPE": "LOC"})
    assert subject.labels() == [Label("LOC", "lexicon")]
    assert found(subject, "Marie Curie left Rome.", "en") == [("Rome", "LOC")]


def test_documents_of_other_languages_are_passed_over(save: Callable[..., str]) -> None:
    folder = save("en", "entity_ruler", patterns=CITIES)
    own = SpacyPipeline(level="entity", pipeline=folder)
    assert found(own, "Rome", "en") == [("Rome", "GPE")]
    assert found(own, "Rome", "zh") == []
    chinese = SpacyPipeline(level="entity", pipeline=folder, languages=["zh"])
    assert found(chinese, "Rome", "en") == []
    assert found(chinese, "Rome", "zh") == [("Rome", "GPE")]
    everywhere = SpacyPipeline(level="entity", pipeline=save("xx", "entity_ruler", patterns=CITIES))
    assert found(everywhere, "Rome", "zh") == found(everywhere, "Rome", "en") == [("Rome", "GPE")]


def test_components_that_entities_do_not_need_are_left_out_unless_rules_may_look_at_them(
    save: Callable[..., str],
) -> None:
    learned = SpacyPipeline(level="entity", pipeline=save("en", "sentencizer", "ner"))
    assert list(factories(learned._pipeline.nlp)) == ["ner"]
    ruled = SpacyPipeline(level="entity", pipeline=save("en", "sentencizer", "entity_ruler", patterns=CITIES))
    assert list(factories(ruled._pipeline.nlp)) == ["sentencizer", "entity_ruler"]


@pytest.mark.parametrize("name", ["no_such_pipeline", "qq"])
def test_a_pipeline_that_is_not_there_is_named_with_what_to_do(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"spaCy pipeline '{name}' cannot be loaded: .*Nothing is downloaded here: install"
    ):
        SpacyPipeline(level="entity", pipeline=name).labels()


def test_a_pipeline_without_entities_is_refused(save: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match=r"has no component that finds entities \(its components: sentencizer\)"):
        SpacyPipeline(level="entity", pipeline=save("en", "sentencizer")).labels()


def test_the_fingerprint_follows_the_content_of_the_folder_and_not_its_place(save: Callable[..., str]) -> None:
    one, same, other = (
        SpacyPipeline(level="entity", pipeline=save("en", "entity_ruler", patterns=patterns))
        for patterns in (CITIES, CITIES, CITIES[:1])
    )
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    assert one.fingerprint() != SpacyPipeline(level="entity", pipeline=one.pipeline, languages=["en"]).fingerprint()


def test_a_used_annotator_travels_without_its_pipeline(save: Callable[..., str]) -> None:
    subject = SpacyPipeline(level="entity", pipeline=save("en", "entity_ruler", patterns=CITIES))
    expected = units(subject, "Rome and New York", "en")
    sent = pickle.dumps(subject)
    assert len(sent) < 2000
    assert units(pickle.loads(sent), "Rome and New York", "en") == expected


@settings(max_examples=60, deadline=None)
@given(text=MIXED)
def test_entities_of_random_text_are_sorted_disjoint_and_inside_sentences(save: Callable[..., str], text: str) -> None:
    folder = getattr(save, "folder", None) or save(
        "zh", "entity_ruler", patterns=[{"label": "L", "pattern": word} for word in ("中国", "北京", "大学", "a")]
    )
    save.folder = folder  # type: ignore[attr-defined]
    found = units(SpacyPipeline(level="entity", pipeline=folder), text)
    sentences = split_sentences(document(text, "zh").characters)[0].tolist()
    position = 0
    for start, end, _ in found:
        assert position <= start < end <= len(text)
        assert any(first <= start and end <= last for first, last in sentences)
        position = end


# --- spaCy: noun chunks
# ---------------------------------------------------------------------------------------------------------


def test_noun_chunks_become_phrases(save: Callable[..., str]) -> None:
    subject = SpacyPipeline(level="phrase", pipeline=save("en", "by_hand"), take="noun_chunks")
    assert subject.labels() == [Label("NP", "pos")]
    assert found(subject, "the old steam engine was sold. Marie Curie was not.", "en") == [
        ("the old steam engine", "NP"),
        ("Marie Curie", "NP"),
    ]


def test_noun_chunks_that_cannot_be_had_are_explained(save: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match="finds no noun chunks: spaCy has none for the language 'zh'"):
        SpacyPipeline(level="phrase", pipeline=save("zh", "by_hand"), take="noun_chunks").fingerprint()
    with pytest.raises(ValueError, match="finds no noun chunks: it has no parser"):
        SpacyPipeline(level="phrase", pipeline=save("en", "sentencizer"), take="noun_chunks").fingerprint()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"take": "verbs"}, "take"),
        ({"take": "noun_chunks", "types": {"a": "b"}}, "types"),
        ({"types": {"GPE": ""}}, "types"),
    ],
)
def test_impossible_settings_of_a_pipeline_are_refused(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        SpacyPipeline(level="entity", pipeline="en", **arguments)


# --- parts of speech
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["rjieba", "jieba"])
def test_words_tagged_as_names_become_hints(engine: str) -> None:
    subject = PartOfSpeech(level="entity", engine=engine)
    assert subject.labels() == [Label(kind, "pos") for kind in ("LOC", "MISC", "ORG", "PER")]
    hints = found(subject, "𠮷田：毛泽东在北京会见了北京大学的代表。\n然后去了上海。")
    assert ("毛泽东", "PER") in hints
    assert ("北京大学", "ORG") in hints
    assert [hint for hint in hints if hint[1] == "LOC"] == [("北京", "LOC"), ("上海", "LOC")]


def test_tags_of_the_users_own_words_count(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("玄铁重剑谱 9999 nz\n", encoding="utf-8")
    for engine in ("rjieba", "jieba"):
        subject = PartOfSpeech(
            level="entity", engine=engine, user_words=[str(tmp_path / "w.txt")], types={"nz": "WORK"}
        )
        assert found(subject, "他读完了玄铁重剑谱") == [("玄铁重剑谱", "WORK")]
        assert subject.fingerprint() != PartOfSpeech(level="entity", engine=engine, types={"nz": "WORK"}).fingerprint()


def test_short_words_other_tags_and_other_languages_are_passed_over() -> None:
    subject = PartOfSpeech(level="entity", min_characters=3, types={"ns": "LOC"})
    assert found(subject, "他住在北京和河南省，毛泽东不住") == [("河南省", "LOC")]
    assert found(subject, "他住在河南省", "en") == []


@pytest.mark.parametrize(
    "arguments", [{"engine": "spacy"}, {"types": {}}, {"types": {"nr": ""}}, {"min_characters": 0}]
)
def test_impossible_settings_of_parts_of_speech_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))}: "):
        PartOfSpeech(level="entity", **arguments)


@functools.cache
def tagger(engine: str, hmm: bool) -> Tagger:
    return Tagger(engine=engine, hmm=hmm)


@pytest.mark.parametrize("engine", ["rjieba", "jieba"])
@settings(max_examples=60, deadline=None)
@given(text=st.one_of(MIXED, st.text(max_size=30)), hmm=st.booleans())
def test_tagged_tokens_of_jieba_fill_the_text(engine: str, text: str, hmm: bool) -> None:
    start_T, end_T, tags = tagger(engine, hmm).tag(
        document(text, "zh"), split_sentences(document(text, "zh").characters)[0]
    )
    assert len(tags) == len(start_T) == len(end_T)
    assert [0, *end_T.tolist()] == [*start_T.tolist(), len(text)]


def test_the_types_of_tags_are_those_of_user_dictionaries() -> None:
    assert PartOfSpeech(level="entity").types == TAG_TYPES


# --- chunks
# ---------------------------------------------------------------------------------------------------------------------


def test_chinese_noun_and_verb_groups_are_found_without_any_model() -> None:
    subject = Chunks(level="phrase")
    assert subject.labels() == [Label("NP", "pos"), Label("VP", "pos")]
    phrases = found(subject, "他喜欢佛殿屋顶。𠮷田已经完成了普通列车。")
    assert ("佛殿屋顶", "NP") in phrases
    assert ("已经完成了", "VP") in phrases
    assert ("普通列车", "NP") in phrases
    assert found(subject, "the old town", "en") == []


def test_english_chunks_come_from_the_tagger_of_a_pipeline(save: Callable[..., str]) -> None:
    subject = Chunks(level="phrase", tagger=save("en", "by_hand"))
    text = "the old steam engine was not sold. the\ntown town was"
    assert found(subject, text, "en") == [("the old steam engine", "NP"), ("was not sold", "VP"), ("town town", "NP")]
    assert found(subject, text, "zh") == []


def test_a_grammar_of_ones_own_replaces_the_built_in_one() -> None:
    subject = Chunks(level="phrase", grammar={"PLACE": "<p> <ns>", "SAY": "<r><v>"})
    assert subject.labels() == [Label("PLACE", "pos"), Label("SAY", "pos")]
    assert found(subject, "他在北京。我说。") == [("在北京", "PLACE"), ("我说", "SAY")]
    assert subject.fingerprint() != Chunks(level="phrase").fingerprint()


def test_single_words_are_chunks_only_on_request() -> None:
    assert found(Chunks(level="phrase", grammar={"N": "<n.*>+"}), "他在北京") == []
    assert found(Chunks(level="phrase", grammar={"N": "<n.*>+"}, min_words=1), "他在北京") == [("北京", "N")]


def test_a_pipeline_without_a_tagger_is_refused(save: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match=r"has no component that tags parts of speech \(its components: sentencizer\)"):
        Chunks(level="phrase", tagger=save("en", "sentencizer")).fingerprint()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"grammar": {"NP": "n+"}}, "grammar: NP: 'n\\+' must be made of <tag> items"),
        ({"grammar": {"NP": "<n"}}, "grammar: NP: "),
        ({"grammar": {"NP": "(<n>"}}, "grammar: NP: .* is no regular expression"),
        ({"grammar": {"NP": "<[n>"}}, "grammar: NP: .* is no regular expression"),
        ({"grammar": {"NP": "(?=<n>)"}}, "grammar: NP: "),
        ({"grammar": {"two words": "<n>"}}, "grammar: 'two words' is no name"),
        ({"min_words": 0}, "min_words: "),
        ({"user_words": ["x"], "tagger": "en"}, "user_words: "),
    ],
)
def test_impossible_grammars_are_refused(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}"):
        Chunks(level="phrase", **arguments)


@pytest.mark.parametrize("grammar", [CHINESE, ENGLISH])
def test_the_built_in_grammars_are_well_formed(grammar: dict[str, str]) -> None:
    check_grammar(grammar)


def test_patterns_match_tags_that_appear_late_and_never_cross_an_end() -> None:
    matcher = TagMatcher({"A": "<x|y>{2,}", "B": "<z.*>"})
    assert list(matcher.find(["q"], [])) == []
    assert list(matcher.find(["x", "y", "zz", "x", "x", "x"], [4])) == [(0, 2, 0), (2, 3, 1), (4, 6, 0)]
    assert list(matcher.find([], [0])) == []


TAGS = ["a", "n", "nr", "v", "PRP$", "d"]


@settings(max_examples=150, deadline=None)
@given(tags=st.lists(st.sampled_from(TAGS), max_size=12), cut=st.integers(0, 12))
def test_patterns_over_tags_match_as_a_regular_expression_over_their_spelling(tags: list[str], cut: int) -> None:
    matcher = TagMatcher({"NP": r"<a|PRP\$>*<n.*>+", "VP": "(<d><v>)+|<v>"})
    wanted: list[tuple[int, int, int]] = []
    cut = min(cut, len(tags))
    for low, part in ((0, tags[:cut]), (cut, tags[cut:])):
        spelled = "".join(f"<{tag}>" for tag in part)
        for match in re.finditer(r"((?:<a>|<PRP\$>)*(?:<n[^>]*>)+)|((?:<d><v>)+|<v>)", spelled):
            first, last = spelled[: match.start()].count("<"), spelled[: match.end()].count("<")
            wanted.append((low + first, low + last, 0 if match[1] else 1))
    assert list(matcher.find(tags, [cut])) == wanted


def test_one_pipeline_serves_all_who_use_it(save: Callable[..., str]) -> None:
    folder = save("en", "entity_ruler", patterns=CITIES)
    assert pipeline(folder) is pipeline(folder)


@pytest.mark.parametrize(
    "pattern",
    [
        "(<n>+)+<v>",
        "(<n>*)*<v>",
        "(<n>?)+<v>",
        "(<n>|<n><n>)*<v>",
        "(<n>|<n.*>)+<v>",
        "(<n>{1,9}){1,9}<v>",
        "((<n>+<a>?)<v>?)+<r>",
        "(<n><n.*>|<n.*><n>)+<v>",
        "<a>(<n>(<v>|<n>)*)*<r>",
        "(<XA>|<X.*>)*<v>",
        "(<n>?){30}<n>{30}",
        "(<n>+?)*?<v>",
    ],
)
def test_a_grammar_that_would_take_for_ever_is_refused_at_construction(pattern: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"grammar: X: in .* the same tags can go round a loop in two ways.*Repeat the items or the group, not both",
    ):
        Chunks(level="phrase", grammar={"NP": "<n>+", "X": pattern})


@pytest.mark.parametrize(
    "pattern",
    [
        "<n>+<n>*<v>",
        "(<a>?<n>)+<v>",
        "(<a>|<n>)*<v>",
        "(<n>+<v>)+",
        "(<a|b>*<n>)+",
        "(<DT>?<JJ.*>*<NN.*>)+(<IN><NN.*>)*",
        "(<n>{2}<v>){3}",
        "<n>{0,4}<n|v>{1,3}",
    ],
)
def test_a_grammar_whose_loops_are_plain_is_taken_and_is_fast(pattern: str) -> None:
    matcher = TagMatcher(Chunks(level="phrase", grammar={"X": pattern}).grammar)
    assert list(matcher.find([*["n", "NN"] * 2, *["n"] * 200, *["NN"] * 200], [])) is not None
