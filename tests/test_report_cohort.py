"""The cohort in the report, the flow diagram, departures from the paper, and limits."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from microcalc.protocol import Protocol
from microcalc.report import (
    CohortFlow,
    Exclusion,
    NetworkRow,
    SetCounts,
    cohort_flow,
    cohort_summary,
    departures_from_paper,
    synthetic_notice,
)
from microcalc.report.flow import flow_alt_text, flow_figure
from microcalc.report.limits import limits_of
from microcalc.report.style import COLUMN_MM, png_bytes
from report_samples import content, run

TABLE = pd.DataFrame(
    {
        "image_id": list("abcdef"),
        "patient_id": ["p1", "p1", "p2", "p3", "p4", "p4"],
        "label": [0, 1, 0, 1, 0, 0],
        "exam_date": ["2011-05-03", "", "2012-01-09", "2019-02-01", "", "2018-12-31"],
        "view": ["CC", "MLO", "CC", "", "XCCL", "CC"],
        "pathology": ["benign", "dcis", "high_risk", "invasive", "benign", "benign"],
        "magnification": [1.0, 1.5, np.nan, 1.07, 1.8, 1.0],
        "birads": [""] * 6,
    }
)
SPLIT = pd.Series(["train", "train", "validation", "test", "test", "test"])
RECORD = {
    "sources": [
        {"kind": "folders", "name": "mammograms of 2019"},
        {"kind": "films", "title": "Films", "license": "CC BY 3.0"},
    ],
    "verdicts": [
        {"accepted": False, "code": "bad-image", "message": "x"},
        {"accepted": False, "code": "no_histopathology", "message": "y"},
        {"accepted": False, "code": "bad-image", "message": "z"},
        {"accepted": True, "code": "padded", "message": "taken with a remark"},
    ],
}  # fmt: skip


def test_the_flow_counts_sets_and_refusals() -> None:
    flow = cohort_flow(TABLE, RECORD, split=SPLIT, by="date")
    assert flow.assessed == 9
    assert flow.exclusions == (
        Exclusion("bad-image", "bad image", 2),
        Exclusion("no_histopathology", "no histopathology", 1),
    )
    assert flow.included == SetCounts("Cohort", 6, 4, 4, 2, "2011-05 to 2019-02")
    assert [(s.name, s.images, s.patients, s.benign, s.malignant) for s in flow.sets] == [
        ("Training", 2, 1, 1, 1), ("Validation", 1, 1, 1, 0), ("Test", 3, 2, 2, 1),
    ]  # fmt: skip
    assert flow.sources == ("mammograms of 2019", "Films")


@pytest.mark.parametrize(
    ("split", "test_by", "told"),
    [
        ("train train validation test test test", "table",
         "Split by image, the test set as given in the table: no patient stands in more than one set."),
        ("train validation train test test test", "date",
         "Split by image, the test set by date: 1 of 4 patients stands in more than one set, none in the test set."),
        ("train validation train validation train test", "patient",
         "Split by image, the test set by patient: 2 of 4 patients stand in more than one set, 1 in the test set."),
    ],
)  # fmt: skip
def test_a_split_by_image_is_told_as_it_came_out(split: str, test_by: str, told: str) -> None:
    summary = cohort_summary(TABLE, {}, split=pd.Series(split.split()), by="image", test_by=test_by)
    assert summary.split_method == told
    assert summary.flow.split + "." == told


def test_the_flow_of_the_cohort_itself_is_told_in_its_order_with_patients() -> None:
    left_out = [
        {"code": "mass", "reason": "mass with the calcifications", "images": 3, "patients": 2},
        {"code": "no-image", "reason": "no mammogram found", "images": 1, "patients": 0},
        {"code": "implant", "reason": "breast implant", "images": 12, "patients": 7},
    ]
    record = RECORD | {"flow": {"assessed": {"images": 22, "patients": 13}, "left_out": left_out, "included": {}}}
    flow = cohort_flow(TABLE, record, split=SPLIT, by="date")
    assert (flow.assessed, flow.assessed_patients) == (22, 13)
    assert [(e.code, e.count, e.patients) for e in flow.exclusions] == [
        ("mass", 3, 2),
        ("no-image", 1, 0),
        ("implant", 12, 7),
    ]
    said = [t.get_text() for t in texts(flow_figure(flow))]
    assert "13 patients" in said
    places = [" ".join(said).find(words) for words in ("3 mass with", "1 no mammogram", "12 breast implant")]
    assert min(places) >= 0
    assert places == sorted(places)
    assert "breast implant: 12 of 7 patients" in flow_alt_text(flow)


def test_shifted_dates_are_not_told_as_months() -> None:
    shifted = TABLE.assign(exam_date=["2158-05-18", "", "2159-01-01", "2160-02-02", "", "2161-03-03"])
    assert cohort_flow(shifted, {}, split=SPLIT).included.dates == "dates shifted"


def test_one_month_is_not_a_span_and_no_date_is_nothing() -> None:
    one = TABLE[TABLE["image_id"] == "a"]
    assert cohort_flow(one, {}, split=SPLIT[:1]).included.dates == "2011-05"
    assert cohort_flow(TABLE.drop(columns="exam_date"), {}, split=SPLIT).included.dates == ""


def test_characteristics_are_told_in_the_order_of_the_field() -> None:
    blocks = {c.name: c.rows for c in cohort_summary(TABLE, RECORD, split=SPLIT, by="date").characteristics}
    assert [value for value, _ in blocks["Histopathology"]] == ["benign", "high-risk lesion", "DCIS", "invasive cancer"]
    assert blocks["View"] == (("CC", (1, 1, 1)), ("MLO", (1, 0, 0)), ("XCCL", (0, 0, 1)), ("not stated", (0, 0, 1)))
    assert dict(blocks["Magnification"]) == {"contact": (1, 0, 2), "magnified": (1, 0, 1), "not stated": (0, 1, 0)}
    assert "BI-RADS category" not in blocks


def test_many_values_are_summed_and_still_add_up() -> None:
    table = pd.concat([TABLE.assign(site=f"s{i}") for i in range(20)], ignore_index=True)
    split = pd.concat([SPLIT] * 20, ignore_index=True)
    rows = next(
        c.rows for c in cohort_summary(table, {}, split=split, by="patient").characteristics if c.name == "Site"
    )
    assert rows[-1][0] == "8 others"
    assert np.sum([counts for _, counts in rows], axis=0).tolist() == [40, 20, 60]


def test_licensed_sources_are_credited() -> None:
    assert cohort_summary(TABLE, RECORD, split=SPLIT, by="date").credits == ("Films; licence CC BY 3.0.",)


def test_only_a_cohort_that_says_so_is_synthetic() -> None:
    assert synthetic_notice({"synthetic": False, "phantom": {"best_auc": 0.9}}) is None
    notice = synthetic_notice(
        {"synthetic": True, "phantom": {"best_auc": 0.951, "best_auc_standard_error": 1e-4, "seed": 3}}
    )
    assert notice is not None
    assert (notice.best_auc, notice.details) == (0.951, ("Seed: 3.",))
    bare = synthetic_notice({"synthetic": True})
    assert bare is not None
    assert np.isnan(bare.best_auc)


def test_a_real_phantom_record_is_understood() -> None:
    record = {"synthetic": True, "phantom": {"best_auc": 0.95, "best_auc_of_these_lesions": 0.9454,
              "tissue": "noise", "tissue_details": {"kind": "Gaussian power-law texture"}}}  # fmt: skip
    notice = synthetic_notice(record)
    assert notice is not None
    assert notice.details[0] == "Tissue: Gaussian power-law texture."
    assert "0.945" in notice.details[1]


# ---- flow diagram ------------------------------------------------------------------------------------------


def flow(exclusions: int = 2, reason: str = "wrong size") -> CohortFlow:
    left_out = tuple(Exclusion(f"c{i}", f"{reason} {i}", 50 - i) for i in range(exclusions))
    sets = tuple(SetCounts(n, 1_000, 500, 600, 400, "2007-01 to 2017-12") for n in ("Training", "Validation", "Test"))
    return CohortFlow(
        ("one hospital",), 3_100, left_out, SetCounts("Cohort", 3_000, 1_500, 1_800, 1_200), sets, "By date"
    )


def texts(figure: object) -> list:
    return list(figure.axes[0].texts)  # type: ignore[attr-defined]


def test_all_numbers_stand_in_the_diagram() -> None:
    said = [t.get_text() for t in texts(flow_figure(flow()))]
    for words in ("3,100 images", "99 images", "50 wrong size 0", "1,500 patients", "By date"):
        assert words in said
    assert said.count("400 malignant") == 3


@pytest.mark.parametrize("reason", ["short", "a_word_without_any_place_to_break_it_that_goes_on_and_on", "W" * 40])
def test_no_word_leaves_its_box(reason: str) -> None:
    figure = flow_figure(flow(4, reason))
    renderer = figure.canvas.get_renderer()
    boxes = [p.get_window_extent(renderer) for p in figure.axes[0].patches if hasattr(p, "get_width")]
    for text in (t for t in texts(figure) if t.get_text() and t.get_style() == "normal"):
        extent = text.get_window_extent(renderer)
        assert any(
            b.x0 <= extent.x0 and extent.x1 <= b.x1 and b.y0 <= extent.y0 + 2 and extent.y1 <= b.y1 + 2 for b in boxes
        )


def test_boxes_do_not_overlap() -> None:
    figure = flow_figure(flow(12))
    boxes = [p.get_bbox() for p in figure.axes[0].patches if hasattr(p, "get_width")]
    assert len(boxes) == 6
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])


def test_rare_reasons_become_one_line() -> None:
    said = [t.get_text() for t in texts(flow_figure(flow(30)))]
    assert any(t.endswith("19 rarer reasons") for t in said)


def test_a_bare_cohort_is_drawn_too() -> None:
    bare = CohortFlow((), 7, (), SetCounts("Cohort", 7, 0, 4, 3))
    figure = flow_figure(bare)
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(COLUMN_MM)
    assert len(png_bytes(figure)) > 2_000
    assert (
        flow_alt_text(bare) == "Flow diagram. 7 images assessed, 0 excluded. Cohort: 7 images, 4 benign, 3 malignant."
    )


# ---- protocol and limits -----------------------------------------------------------------------------------


def test_the_papers_protocol_departs_nowhere() -> None:
    assert departures_from_paper(Protocol()) == ()


@pytest.mark.parametrize(
    ("by", "test_by", "here"),
    [
        ("image", "date", None),
        ("image", "patient", "image; the test set by patient"),
        ("image", "table", "image; the test set as given in the table"),
        ("auto", "date", None),
        ("auto", "table", "auto; the test set as given in the table"),
        ("table", "table", "table"),
    ],
)
def test_a_split_departs_where_its_test_set_is_not_by_date(by: str, test_by: str, here: str | None) -> None:
    found = departures_from_paper(Protocol.model_validate({"split": {"by": by}}), test_by=test_by)
    assert [(d.setting, d.here) for d in found] == ([] if here is None else [("split.by", here)])


def test_every_changed_setting_is_a_departure() -> None:
    changed = Protocol.model_validate(
        {
            "name": "demo",
            "weights": "none",
            "training": {"max_epochs": 8, "learning_rates": [5e-4], "seed": 3, "batch_size": 16},
            "image": {"local_contrast": {"sigma": 16}},
            "split": {"by": "patient"},
            "per_network": {"xception": {"learning_rate_factor": 2}, "inception_v3": {"input_size": 128}},
        }
    )
    found = {d.setting: (d.paper, d.here) for d in departures_from_paper(changed)}
    assert found["weights"] == ("imagenet", "none")
    assert found["training.max_epochs"] == ("not stated (100 here by default)", "8")
    assert found["training.learning_rates"] == ("0.0001 (supplement: 1e-05)", "0.0005")
    assert found["split.by"][1] == "patient"
    assert found["training.batch_size"] == ("8, 16 or 32, by network", "16")
    assert found["image.local_contrast.sigma"][0].startswith("not stated")
    per_network = {name: values for name, values in found.items() if name.startswith("per_network")}
    assert per_network == {
        "per_network.xception.learning_rate_factor": ("1", "2"),
        "per_network.inception_v3.input_size": ("as for every network", "128"),
    }
    assert not {"name", "training.seed"} & set(found)


def test_limits_follow_what_is_in_the_report() -> None:
    words = " ".join(limits_of(content()))
    assert "synthetic phantoms" in words
    assert "random weights" in words
    assert "Heatmaps show" in words
    assert "look better than they would be" in words
    assert "14 malignant and 26 benign images of 20 patients" in words
    result = content().runs[0].table1
    assert result is not None
    widest = max(max(area.high - area.low) for area in (result.auc, result.auc_clustered))
    assert f"by patients or images, is up to {widest:.2f} wide" in words
    assert words.endswith("A limit of this very study.")


def test_limits_leave_out_what_does_not_apply() -> None:
    plain = dataclasses.replace(
        content(run(heatmaps=False), synthetic=False),
        networks=(NetworkRow("xception", 71, 1, 1.0, 299, 32, "ImageNet"),),
    )
    words = " ".join(limits_of(plain))
    assert "synthetic" not in words
    assert "random weights" not in words
    assert "Heatmaps show" not in words
    assert "another centre" in words
