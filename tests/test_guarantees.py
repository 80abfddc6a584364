"""docs/guarantees.md: every guarantee names a test that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)` \|$", (ROOT / "docs/guarantees.md").read_text(), re.MULTILINE)


class TestGuarantees:
    def test_every_row_names_one(self) -> None:
        rows = re.findall(r"^\| (?!guarantee).+\|$", (ROOT / "docs/guarantees.md").read_text(), re.MULTILINE)
        assert len(rows) == len(NAMED) > 0

    @pytest.mark.parametrize(("file", "name"), NAMED)
    def test_it_is_there(self, file: str, name: str) -> None:
        assert re.search(rf"^ *def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
