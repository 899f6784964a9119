"""docs/checks.md names every code that the audit can give, and no other."""

import re
from pathlib import Path

import microcalc
from microcalc.cohort.confounding import confounders
from microcalc.cohort.disclosure import _PATTERNS, _WHAT
from test_cohort_confounding import patients

COHORT = Path(microcalc.__file__).parent / "cohort"
PAGE = Path(__file__).parents[1] / "docs" / "checks.md"
CODE = re.compile(
    r"""(?:error|warning|note|Finding|_refuse)\(\s*(?:[^"\n]{0,60},\s*)?f?"((?:\{prefix\})?[a-z]+(?:-[a-z]+)*)","""
)


def documented() -> set[str]:
    codes: set[str] = set()
    for row in PAGE.read_text(encoding="utf-8").splitlines():
        if row.startswith("| `"):
            cell = row.split("|")[1]
            if "`confounded-site`" in cell:
                cell = re.sub(r"`-", "`confounded-", cell)
            codes |= set(re.findall(r"`([a-z-]+)`", cell))
    return codes


def given() -> set[str]:
    text = "".join(p.read_text(encoding="utf-8") for p in COHORT.glob("*.py"))
    codes = set(CODE.findall(text)) | set(re.findall(r'"((?:leak|study|source)-[a-z]+)"', text))
    codes |= set(re.findall(r'_refuse\([^|]{0,90}?"([a-z]+(?:-[a-z]+)*)",', text))
    codes |= {c.replace("{prefix}", p) for c in codes if "{prefix}" in c for p in ("", "near-")}
    codes |= {code for code, _, _ in _PATTERNS} | set(_WHAT) | {"privacy-image-id", "privacy-lesion-id"}
    codes |= {"laterality", "view", "pathology", "split", "magnification", "pixel-spacing-mm", "roi-row", "roi-col"}
    values = {"site": ["A", "B"], "manufacturer": ["A", "B"], "padded": ["true", "false"], "magnification": [1, 2]}
    values |= {"exam_date": ["2011-01-01", "2012-01-01"], "pixel_spacing_mm": [0.05, 0.1]}
    rows = patients([0, 1] * 20, **{name: pair * 20 for name, pair in values.items()}).assign(detector=["a", "b"] * 20)
    return {c for c in codes if "{" not in c} | {f"confounded-{thing.name}" for thing in confounders(rows)}


def test_the_page_and_the_code_name_the_same() -> None:
    assert documented() - given() == set()
    assert given() - documented() == set()
