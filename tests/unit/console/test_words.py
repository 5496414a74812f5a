"""Both languages have every text of the console, and a reader gets the one that he reads."""

from __future__ import annotations

import re

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from texts_in_pages import TEXTS, texts

from vipex_bridge.console.picture import WORDS
from vipex_bridge.console.words import LANGUAGES, language_of, words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_none_is_left_over(language: str) -> None:
    said = words(language).texts
    known = texts()
    assert not {text: known[text] for text in known.keys() - said.keys()}
    assert not said.keys() - known.keys()
    with (TEXTS / f"{language}.po").open("rb") as file:
        assert not [message.id for message in read_po(file) if message.id and message.fuzzy]


def test_the_pages_hold_no_text_outside_the_translations() -> None:
    kept = {
        "vipex-bridge",
        "ms",
        "Idempotency-Key",
        "HTTP",
        "lookup",
        "VIPEX_STATUS=",
        "·",
        "–",
        "→",
        ":",
        ",",
        "(",
        ")",
        "),",
    }
    for path in sorted((TEXTS.parent / "templates").glob("*.html")):
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "\n", path.read_text("utf-8"), flags=re.DOTALL)
        plain = re.sub(r"<[^>]*>", "\n", text, flags=re.DOTALL)
        words_left = {word for word in plain.split() if re.search(r"[^\W\d_]", word)}
        assert words_left <= kept, path.name


def test_hungarian_differs_from_english() -> None:
    said = words("hu").texts
    same = {text for text, translated in said.items() if text == translated}
    # Words that both languages share.
    assert same <= {"IVR"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_and_its_translation_take_the_same_values(language: str) -> None:
    for text, translated in words(language).texts.items():
        places = [re.findall(r"%\((\w+)\)s", words) for words in (text, translated)]
        assert sorted(places[0]) == sorted(places[1])


def test_all_of_the_pictures_words_are_among_the_texts() -> None:
    assert set(WORDS.values()) <= words("hu").texts.keys()


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "hu", "hu"),
        (None, "hu-HU,hu;q=0.9,en;q=0.8", "hu"),
        (None, "en-GB,en;q=0.9,hu;q=0.8", "en"),
        (None, "de-DE,de;q=0.9,hu;q=0.5,en;q=0.3", "hu"),
        (None, "de,fr", "en"),
        (None, "hu;q=0,en;q=0.1", "en"),
        (None, "en;q=0.2, hu;q=0.7", "hu"),
        ("hu", "en", "hu"),
        ("en", "hu", "en"),
        ("xx", "hu", "hu"),
        ("../../etc", "", "en"),
    ],
)
def test_the_language_is_the_one_chosen_else_the_browsers(
    chosen: str | None, accepted: str, language: str
) -> None:
    assert language_of(chosen, accepted) == language


@given(st.text(max_size=200) | st.none(), st.text(max_size=400))
def test_whatever_the_browser_sends_it_gets_a_language(chosen: str | None, accepted: str) -> None:
    assert language_of(chosen, accepted) in LANGUAGES
