"""Every configuration that a page shows passes `check`, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pages import ROOT, blocks

from vipex_bridge.cli.main import main
from vipex_bridge.config.schema import Document

PAGES = [
    ROOT / name
    for name in ("README.md", "README.hu.md", "docs/receiver.md", "docs/receiver.hu.md", "docs/api.md")
]
TOP_LEVEL = frozenset(Document.model_fields)
IN_A_LINE = re.compile(rf"`((?:{'|'.join(sorted(TOP_LEVEL))}): \{{[^`]*\}})`")
"""A section that a page writes within a sentence."""
SECRETS = {"signing-key": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
TARIFF = "prefix,connection_fee,per_minute,increment,currency\n3630,0,21.5,60/60,HUF\n"


class _AnyTag(yaml.SafeLoader):
    """A loader to which a tagged value is just its text."""


_AnyTag.add_multi_constructor("!", lambda loader, suffix, node: node.value)


def _examples() -> list[tuple[Path, str]]:
    found = []
    for page in PAGES:
        found += [(page, text) for text in blocks(page, "yaml")]
        found += [(page, text) for text in IN_A_LINE.findall(page.read_text("utf-8"))]
    return found


def _whole(text: str) -> str:
    """The example as a file: a client's own keys are given a client."""
    keys = set(yaml.load(text, _AnyTag))  # noqa: S506 - a safe loader of our own
    if keys <= TOP_LEVEL | {"tokens"}:
        return text
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    return f"clients:\n  example:\n    kind: notify\n    url: https://crm.example.com/calls\n{indented}"


EXAMPLES = _examples()
NAMES = [f"{page.relative_to(ROOT)}-{number}" for number, (page, _) in enumerate(EXAMPLES)]


def test_there_are_examples_on_each_page() -> None:
    assert {page for page, _ in EXAMPLES} == set(PAGES)
    assert len([page for page, _ in EXAMPLES if page.name == "README.hu.md"]) >= 8


@pytest.mark.parametrize(("page", "text"), EXAMPLES, ids=NAMES)
def test_the_example_passes_check(
    page: Path, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _whole(text.replace("/etc/vipex-bridge/", ""))
    for name in re.findall(r"!file ([^\s,}\]]+)", text):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SECRETS.get(file.name, f"planted-{file.name}"))
        file.chmod(0o600)
    for name in re.findall(r"!env (\w+)", text):
        monkeypatch.setenv(name, f"planted-{name}")
    (tmp_path / "tariff.csv").write_text(TARIFF)
    config, file = tmp_path / "config.yaml", tmp_path / "config.yaml"
    if set(yaml.load(text, _AnyTag)) == {"tokens", "clients"}:  # noqa: S506
        file = tmp_path / "customer.yaml"
        config.write_text("include: customer.yaml\n", encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    code = main(["check", "--config", str(config)])
    assert (code, capsys.readouterr().err) == (0, "")
