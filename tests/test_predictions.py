"""The predictions table: checked at the door, the same for every model."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microcalc.errors import TableError
from microcalc.predictions import read_predictions, score_table, write_predictions


def made_up(**columns: object) -> pd.DataFrame:
    rows = [
        {"run": "r", "model": m, "image_id": f"{i:03d}", "patient_id": f"p{i // 2}", "lesion_id": "", "split": "test"}
        | {"label": i % 2, "score": (i + 1) / 10 + k / 100}
        for k, m in enumerate(("a", "b"))
        for i in range(4)
    ]
    return pd.DataFrame(rows).assign(**columns)


def test_a_table_survives_being_written_and_read_with_all_digits(tmp_path: Path):
    table = made_up(score=np.random.default_rng(0).random(8))
    write_predictions(table, tmp_path / "p.csv")
    back = read_predictions(tmp_path / "p.csv")
    assert (back["score"].to_numpy() == table["score"].to_numpy()).all()
    assert list(back["image_id"][:2]) == ["000", "001"]  # leading zeros are part of a name
    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": 2}, "label must be 0"),
        ({"label": "x"}, "label must be 0"),
        ({"score": np.nan}, r"line 2: score must be a finite number; found nan \(and 7 more rows\)"),
        ({"score": np.inf}, "finite"),
        ({"split": "exam"}, "split must be train, validation or test"),
        ({"image_id": "same"}, "a model may score an image once"),
        ({"patient_id": ""}, "patient_id must not be empty"),
    ],
)
def test_what_breaks_the_contract_is_refused(columns: dict[str, object], message: str, tmp_path: Path):
    with pytest.raises(TableError, match=message):
        write_predictions(made_up(**columns), tmp_path / "p.csv")
    assert not list(tmp_path.iterdir())


def test_a_missing_column_is_named(tmp_path: Path):
    made_up().drop(columns="label").to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(TableError, match=r"p\.csv.*\['label'\] are missing"):
        read_predictions(tmp_path / "p.csv")


def test_a_score_table_has_one_column_for_each_model():
    table = score_table(made_up(), run="r")
    assert table.models == ("a", "b")
    assert table.scores == pytest.approx(np.array([[0.1, 0.11], [0.2, 0.21], [0.3, 0.31], [0.4, 0.41]]))
    assert list(table.y_true) == [0, 1, 0, 1]
    assert list(table.patients) == ["p0", "p0", "p1", "p1"]


def test_rows_in_any_order_give_the_same_pairs():
    shuffled = made_up().sample(frac=1, random_state=3)
    table = score_table(shuffled, run="r", models=("b", "a"))
    assert np.allclose(table.scores[:, 0] - table.scores[:, 1], 0.01)


def test_a_model_that_lacks_images_is_refused_by_name():
    with pytest.raises(TableError, match=r"b lacks 1: \['003'\]"):
        score_table(made_up().iloc[:-1], run="r")


def test_an_image_with_two_labels_is_refused():
    with pytest.raises(TableError, match="one label"):
        score_table(made_up(label=[0, 1, 0, 1, 1, 1, 0, 1]), run="r")


def test_a_run_that_is_not_there_is_refused():
    with pytest.raises(TableError, match="no scores of run 'x'"):
        score_table(made_up(), run="x")
