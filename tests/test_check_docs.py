"""The pages hold together: links lead somewhere, and what is shown as code is code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/check_docs.py, which is no package."""
    spec = importlib.util.spec_from_file_location("check_docs", ROOT / "tools" / "check_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_of_this_project_hold_together(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """No page of the repository has a complaint."""
    assert tool.main() == 0, capsys.readouterr().out
    assert ROOT / "CONTRIBUTING.md" in tool.pages(ROOT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\n\nsee [there](gone.md)\n", "README.md:3: gone.md leads nowhere"),
        ("see [there]\n\n[there]: gone.md\n", "README.md:3: gone.md leads nowhere"),
        ("see [there](docs/a.md#wrong)\n", "README.md:1: docs/a.md has no heading #wrong"),
        ("see [here](#wrong)\n", "README.md:1: README.md has no heading #wrong"),
        ("```python\nif:\n```\n", "README.md:1: this is no python"),
        ("x\n```yaml\na: [\n```\n", "README.md:2: this is no yaml"),
        ("```json\n{a: 1}\n```\n", "README.md:1: this is no json"),
    ],
)
def test_broken_page_is_named_with_its_line(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """Each complaint says which page, which line and what."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Title\n")
    (tmp_path / "README.md").write_text(text)
    assert tool.main(tmp_path) == 1
    assert said in capsys.readouterr().out


def test_sound_page_has_no_complaint(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anchors are spelled as the forge spells them; links in code and to other sites are left alone."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A `Title`, twice\n\n# A `Title`, twice\n")
    (tmp_path / "README.md").write_text(
        "[one](docs/a.md#a-title-twice) [two](docs/a.md#a-title-twice-1) [site](https://example.org/x)\n"
        "1. a list\n   ```python\n   [x](gone)\n   ```\n"
    )
    assert tool.main(tmp_path) == 0, capsys.readouterr().out
    assert capsys.readouterr().out == "2 pages, 0 complaints\n"
