"""The console's languages: which one a reader gets, and the texts in it. Only here is Babel imported.

Texts in the code and in the pages are English; `texts/LANGUAGE.po` holds each in LANGUAGE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.core import negotiate_locale
from babel.messages.pofile import read_po

LANGUAGES: Mapping[str, str] = {"en": "English", "hu": "Magyar"}
"""Code -> its name in itself."""
DEFAULT = "en"
FOLDER = Path(__file__).parent / "texts"


@dataclass(frozen=True, slots=True)
class Words:
    """The texts in one language."""

    language: str
    texts: Mapping[str, str]

    def say(self, text: str, **values: object) -> str:
        """`text` in this language, with `%(name)s` in it replaced by the value of that name."""
        said = self.texts.get(text) or text
        return said % values if values else said


@cache
def words(language: str) -> Words:
    """The texts of one of LANGUAGES."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    return Words(language, {str(m.id): str(m.string) for m in catalog if m.id and m.string})


def language_of(chosen: str | None, accepted: str) -> str:
    """The language for a reader who chose `chosen` earlier, or whose browser sends `accepted`.

    `accepted` is the header Accept-Language (RFC 9110, section 12.5.4), which may be anything.
    """
    if chosen is not None and chosen in LANGUAGES:
        return chosen
    wanted = sorted(_weighed(accepted), key=lambda pair: -pair[1])
    tags = [tag for tag, weight in wanted if weight > 0]
    found = next((hit for tag in tags if (hit := negotiate_locale([tag], list(LANGUAGES), sep="-"))), None)
    return found or DEFAULT


def _weighed(accepted: str) -> list[tuple[str, float]]:
    pairs = []
    for part in accepted[:1000].split(","):
        tag, _, parameter = part.strip().partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            pairs.append((tag.strip(), float(weight) if name.strip() == "q" else 1.0))
        except ValueError:
            continue
    return pairs
