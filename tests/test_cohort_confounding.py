"""What could be learned instead of the disease is found where it is, and by chance as seldom as it says."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cohort_samples import cohort, picture, table
from microcalc.cohort import Audit, CohortWriter, Severity, check_cohort
from microcalc.cohort.confounding import Confounder, confounders


def patients(labels: Sequence[int], **columns: Sequence[object]) -> pd.DataFrame:
    return table([f"p{k:04d}" for k in range(len(labels))], labels, **columns)


def thing(rows: pd.DataFrame, name: str) -> Confounder | None:
    return next((c for c in confounders(rows) if c.name == name), None)


def test_the_area_is_that_of_the_share_of_each_group() -> None:
    rng = np.random.default_rng(0)
    site = rng.choice(["A", "B", "C", "D"], size=300)
    labels = (rng.random(300) < np.select([site == "A", site == "B"], [0.2, 0.5], 0.6)).astype(int)
    found = thing(patients(labels.tolist(), site=site.tolist()), "site")
    assert found is not None
    share = pd.Series(labels).groupby(site).transform("mean")
    assert found.auc == pytest.approx(roc_auc_score(labels, share))
    assert found.groups["A"] == (int((site == "A").sum()), int(labels[site == "A"].sum()))
    assert list(found.groups)[-1] == "A"


def test_chance_is_what_exchanged_labels_give() -> None:
    rng = np.random.default_rng(1)
    site, labels = rng.choice([*"ABCDEF"], size=120), np.repeat([0, 1], 60)
    found = thing(patients(labels.tolist(), site=site.tolist()), "site")
    assert found is not None
    drawn = []
    for _ in range(800):
        rng.shuffle(labels)
        drawn.append(roc_auc_score(labels, pd.Series(labels).groupby(site).transform("mean")))
    assert found.by_chance == pytest.approx(np.mean(drawn), abs=0.01)


def test_what_means_nothing_is_seldom_found() -> None:
    rng = np.random.default_rng(2)
    small = 0
    for _ in range(100):
        rows = patients(rng.integers(2, size=80).tolist(), site=rng.choice([*"ABCD"], size=80).tolist())
        found = thing(rows, "site")
        assert found is not None
        small += found.p <= 0.05
    assert small <= 12  # 5 expected


def test_a_patient_counts_once_however_many_images() -> None:
    labels = [0, 1] * 15
    one = table([f"p{k}" for k in range(30)], labels, site=["A", "B", "A"] * 10)
    order = [k for k in range(30) for _ in range(1 + 9 * (k == 0))]
    many = table([f"p{k}" for k in order], [labels[k] for k in order], site=[["A", "B", "A"][k % 3] for k in order])
    assert thing(one, "site") == thing(many, "site")


def test_small_groups_are_put_together_and_one_group_says_nothing() -> None:
    labels = [0, 1] * 20
    found = thing(patients(labels, site=["A"] * 20 + ["B"] * 17 + ["C", "D", "E"]), "site")
    assert found is not None
    assert set(found.groups) == {"A", "B", "(small groups)"}
    assert thing(patients(labels, site=["A"] * 40), "site") is None
    assert thing(patients(labels, site=["A"] * 20 + [""] * 20), "site") is not None


def test_few_patients_of_a_class_say_nothing() -> None:
    assert confounders(patients([0] * 9 + [1] * 40, site=["A"] * 9 + ["B"] * 40)) == ()


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("site", {"site": ["A", "B"]}),
        ("manufacturer", {"manufacturer": ["A", "B"]}),
        ("year", {"exam_date": ["2011-01-01", "2012-12-31"]}),
        ("spacing", {"pixel_spacing_mm": [0.05, 0.07]}),
        ("magnification", {"magnification": [1.0, 1.8]}),
        ("padded", {"padded": ["true", "false"]}),
    ],
)
def test_each_thing_that_tells_the_label_is_found(name: str, columns: Mapping[str, Sequence[object]]) -> None:
    rows = patients([0, 1] * 20, **{column: list(values) * 20 for column, values in columns.items()})
    found = {c.name: c.auc for c in confounders(rows)}
    assert found == {name: 1.0}


# ---------------------------------------------------------------------------------------------- in the audit


def audited(folder: Path, labels: Sequence[int], **columns: Sequence[object]) -> Audit:
    return check_cohort(cohort(folder, patients(labels, **columns)).folder, contents=False)


def test_a_device_that_tells_nearly_all_is_an_error(tmp_path: Path) -> None:
    audit = audited(tmp_path / "c", [0] * 20 + [1] * 20, manufacturer=["A"] * 18 + ["B"] * 22)
    (found,) = audit.of(Severity.ERROR)
    assert found.code == "confounded-manufacturer"
    assert "malignant: B 20 of 22, A 0 of 18" in found.message
    assert "AUC of 0.95" in found.message
    assert audit.as_record()["confounders"][0]["name"] == "manufacturer"  # type: ignore[index]


def test_a_site_that_tells_something_is_a_warning_and_chance_is_nothing(tmp_path: Path) -> None:
    audit = audited(tmp_path / "c", [0] * 40 + [1] * 40, site=["A"] * 30 + ["B"] * 10 + ["A"] * 10 + ["B"] * 30)
    assert [f.code for f in audit.of(Severity.WARNING)] == ["confounded-site"]
    none = audited(tmp_path / "d", [0] * 40 + [1] * 40, site=["A", "B"] * 40)
    assert not [f for f in none.findings if f.code.startswith("confounded")]


def with_facts(folder: Path, facts: object, **columns: Sequence[object]) -> Audit:
    rows = table(list("abcd"), [0, 1, 0, 1], **columns)
    with CohortWriter(folder, sources=[]) as writer:
        for number, row in enumerate(rows.to_dict(orient="records")):
            writer.add({str(k): v for k, v in row.items()}, picture(number))
        writer.record["image_facts"] = facts
    return check_cohort(folder, contents=False)


def codes(audit: Audit) -> dict[str, str]:
    return {f.code: f.message for f in audit.findings}


def test_film_and_digital_are_told(tmp_path: Path) -> None:
    facts = {"detector": {"i000": "film", "i001": "digital", "i002": "digital", "i003": "unknown"}}
    assert codes(with_facts(tmp_path / "c", facts))["film-and-digital"].startswith("1 images of scanned film and 2")
    assert "film-and-digital" not in codes(with_facts(tmp_path / "d", {"detector": {"i000": "film"}}))


def test_pixels_of_several_sizes_are_told(tmp_path: Path) -> None:
    found = codes(with_facts(tmp_path / "c", {}, pixel_spacing_mm=[0.05, 0.1, 0.1, ""]))
    assert "(0.1 mm in 2, 0.05 mm in 1 images): a calcification has up to 2 times as many" in found["spacing-mixed"]
    assert found["spacing-unknown"] == "pixel_spacing_mm is known of 3 of 4 images only"
    assert "spacing-mixed" not in codes(with_facts(tmp_path / "d", {}, pixel_spacing_mm=[0.065, 0.07, 0.07, 0.07]))


def test_magnification_views_among_others_are_told(tmp_path: Path) -> None:
    found = codes(with_facts(tmp_path / "c", {}, magnification=[1.0, 1.05, 1.8, ""]))
    assert found["magnification-mixed"].startswith("1 magnification views and 2 contact views")


@pytest.mark.parametrize("facts", [5, [], {"study": 7}, {"study": {"i000": 5}}, {"detector": {"i000": None}}])
def test_scrambled_facts_never_raise(tmp_path: Path, facts: object) -> None:
    assert with_facts(tmp_path / "c", facts).images == 4


# ---------------------------------------------------------------------------------------------- leaks


def test_a_study_or_image_on_two_sides_or_of_two_patients_is_an_error(tmp_path: Path) -> None:
    facts = {"study": {"i000": "S", "i001": "S", "i002": "T", "i003": "T"}}
    columns = {"split": ["train", "test", "train", "train"], "source_uid": ["1.2", "1.3", "1.4", "1.4"]}
    found = codes(with_facts(tmp_path / "c", facts, **columns))
    assert "puts 1 study on two sides: S." in found["leak-study"]
    assert found["study-patients"].startswith("2 studies of two patients: S, T.")
    assert "leak-source" not in found
    assert found["source-patients"].startswith("1 source image of two patients: 1.4.")
    columns["split"] = ["train", "test", "train", "test"]
    assert (
        "puts 1 source image on two sides: 1.4." in codes(with_facts(tmp_path / "d", facts, **columns))["leak-source"]
    )


def test_a_lesion_in_both_breasts_is_an_error(tmp_path: Path) -> None:
    rows = table(list("aabb"), [0, 0, 1, 1], lesion_id=["1", "1", "1", "2"], laterality=["L", "R", "L", "R"])
    audit = check_cohort(cohort(tmp_path / "c", rows).folder, contents=False)
    assert codes(audit)["lesion-sides"] == "a lesion must lie in one breast; 1 lesion in both: 1 of patient a"
