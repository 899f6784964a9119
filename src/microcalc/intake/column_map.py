"""The column map: which column of a spreadsheet holds what, which words mean what, and which rows are left out.

It is a small YAML file that a person can read and mend; `microcalc.intake.column_guess` proposes one. What a column can
hold is listed in `microcalc.intake.column_fields`; what the cells mean is read by `microcalc.intake.terms`.
"""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from microcalc.errors import ProtocolError
from microcalc.intake.column_fields import FIELDS, KEY_FIELDS, PLACE_FIELDS, RULE_FIELDS

__all__ = ["ColumnMap", "RuleColumn", "column_map_yaml", "read_column_map"]

_MEANINGS = ("exam_date", "laterality", "view", "pathology", "label", "birads", "morphology", "distribution", "split")


class RuleColumn(BaseModel):
    """A column whose "yes" leaves a row out.

    Attributes:
        column: header of the spreadsheet.
        yes: words that leave a row out, besides the usual ones.
        no: words that keep it, besides the usual ones.
        reason: for the flow diagram; default the rule's own words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(min_length=1)
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    reason: str = ""


class ColumnMap(BaseModel):
    """Which column holds what.

    Attributes:
        columns: header of each field, by its name in `FIELDS`.
        rules: columns whose "yes" leaves a row out, in order; names of `FIELDS`, or own ones.
        words: meaning of words that are not known, by field: ``pathology: {B5a: dcis}``.
        implants: whether images whose header tells of an implant are left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str] = {}
    rules: dict[str, RuleColumn] = {}
    words: dict[str, dict[str, str]] = {}
    implants: Literal["leave_out", "keep"] = "leave_out"

    @field_validator("rules", mode="before")
    @classmethod
    def _short_rules(cls, value: object) -> object:
        """``mass: HEADER`` is short for ``mass: {column: HEADER}``."""
        if not isinstance(value, dict):
            return value
        return {k: {"column": v} if isinstance(v, str) else v for k, v in value.items()}

    @model_validator(mode="after")
    def _fields_are_known(self) -> Self:
        allowed = [field for field in FIELDS if field not in RULE_FIELDS]
        misplaced = sorted(set(self.columns) & set(RULE_FIELDS))
        if misplaced:
            raise ValueError(f"{', '.join(misplaced)} must stand under rules, not under columns")
        unknown = sorted(set(self.columns) - set(FIELDS))
        if unknown:
            raise ValueError(f"columns: no such field as {', '.join(unknown)}; they may be {', '.join(allowed)}")
        wordless = sorted(set(self.words) - set(_MEANINGS))
        if wordless:
            raise ValueError(f"words: may be given for {', '.join(_MEANINGS)}; got {', '.join(wordless)}")
        if not any(all(field in self.columns for field in key) for key in KEY_FIELDS):
            raise ValueError(
                "rows must name their mammogram: map sop_uid, image_file, accession_number, or patient_id and exam_date"
            )
        if not {"pathology", "label"} & set(self.columns):
            raise ValueError("rows must tell benign from malignant: map pathology, or label")
        return self

    @property
    def has_place(self) -> bool:
        """Whether the columns can say where a lesion is."""
        return any(all(field in self.columns for field in place) for place in PLACE_FIELDS)


def read_column_map(path: Path) -> ColumnMap:
    """Read and check a column map.

    Raises:
        ProtocolError: the file is missing, is not YAML, or holds what is not allowed.
    """
    try:
        # Every scalar as text: to YAML a bare yes is a truth value, here it is a word of a spreadsheet.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProtocolError(f"{path}: a column map must be a readable YAML file; {error}") from error
    if not isinstance(content, dict):
        raise ProtocolError(
            f"{path}: a column map must be a mapping with the entry columns; it holds a {type(content).__name__}. "
            "Let `microcalc cohort columns SPREADSHEET --out MAP.yaml` propose one"
        )
    try:
        return ColumnMap.model_validate({name: value for name, value in content.items() if value != ""})
    except ValidationError as error:
        lines = [f"  {'.'.join(str(p) for p in e['loc'])}: {e['msg']}".lstrip(": ") for e in error.errors()]
        raise ProtocolError(f"{path}: this column map is not allowed:\n" + "\n".join(lines)) from error


def column_map_yaml(column_map: ColumnMap, *, comment: str = "") -> str:
    """YAML of a map, with what each field means as a comment.

    Args:
        column_map: the map.
        comment: lines for the head of the file.
    """
    lines = [f"# {line}" for line in comment.splitlines()]
    lines.append("columns:")
    lines += [_entry(field, header, FIELDS[field].meaning) for field, header in column_map.columns.items()]
    if column_map.rules:
        lines.append("rules:  # a row that says yes is left out; counted in this order")
        for name, rule in column_map.rules.items():
            extra = rule.model_dump(mode="json", exclude_defaults=True)
            value = rule.column if set(extra) == {"column"} else extra
            lines.append(_entry(name, value, FIELDS[name].meaning if name in FIELDS else ""))
    rest: dict[str, object] = {"words": column_map.words} if column_map.words else {}
    rest |= {"implants": column_map.implants} if column_map.implants != "leave_out" else {}
    text = yaml.safe_dump(rest, sort_keys=False, allow_unicode=True) if rest else ""
    return "\n".join(lines) + "\n" + text


def _entry(name: str, value: object, meaning: str) -> str:
    flow = yaml.safe_dump({name: value}, allow_unicode=True, default_flow_style=True, width=10_000).strip()
    inner = flow[1:-1] if flow.startswith("{") else flow
    return f"  {inner}" + (f"  # {meaning}" if meaning else "")
