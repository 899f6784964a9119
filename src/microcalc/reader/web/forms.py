"""What requests may carry: the fields of each form, their words and limits. Unknown fields are refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from microcalc.reader.objects.finding import BIRADS
from microcalc.reader.room.people import Role
from microcalc.reader.store.worklist import Status
from microcalc.vocabulary import CalcDistribution, CalcMorphology, Pathology

__all__ = [
    "AccountChange",
    "AccountForm",
    "DoneForm",
    "FetchForm",
    "LabelForm",
    "LoginForm",
    "QueryForm",
    "ReadForm",
    "SearchForm",
    "SendForm",
]

LARGEST_PLACE = 100_000.0
"""Rows and columns that no mammogram has."""

LONGEST_NOTE = 4_000


def _one_of(words: tuple[str, ...]) -> StringConstraints:
    return StringConstraints(pattern=f"^({'|'.join(words)})?$")


class Form(BaseModel):
    """What a request carries."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _without_zero(cls, value: object) -> object:
        """PostgreSQL takes no zero character."""
        if isinstance(value, str) and "\0" in value:
            raise PydanticCustomError("zero", "must be text without zero characters; it has one")
        return value


class LoginForm(Form):
    """Name and password."""

    model_config = ConfigDict(str_strip_whitespace=False)
    name: str = Field(max_length=64)
    password: str = Field(max_length=1024)


class AccountForm(Form):
    """A new account; without a password only an identity provider logs it in."""

    model_config = ConfigDict(str_strip_whitespace=False)
    name: str = Field(max_length=64)
    role: Role = Role.READER
    password: str = Field(default="", max_length=1024)


class AccountChange(Form):
    """What is to change."""

    model_config = ConfigDict(str_strip_whitespace=False)
    role: Role | None = None
    password: str | None = Field(default=None, min_length=1, max_length=1024)
    active: bool | None = None


class LabelForm(Form):
    """A square and what is said of it; empty words are not stated.

    Attributes:
        row, col: middle of the square, pixels of the image from 0.
        side: of the square, pixels of the image.
        lesion: name of the lesion, the same in each view of it.
        revision: that a change was made from.
    """

    row: float = Field(ge=0, le=LARGEST_PLACE)
    col: float = Field(ge=0, le=LARGEST_PLACE)
    side: float = Field(default=512.0, ge=1, le=LARGEST_PLACE)
    lesion: str = Field(default="", max_length=64)
    pathology: Annotated[str, _one_of(tuple(Pathology))] = ""
    birads: Annotated[str, _one_of(BIRADS)] = ""
    morphology: Annotated[str, _one_of(tuple(CalcMorphology))] = ""
    distribution: Annotated[str, _one_of(tuple(CalcDistribution))] = ""
    note: str = Field(default="", max_length=LONGEST_NOTE)
    revision: int | None = Field(default=None, ge=1)


class SearchForm(Form):
    """Which part of the worklist; the words may name a patient, so they come in a body and not in an address."""

    search: str = Field(default="", max_length=200)
    status: Status | None = None
    limit: int = Field(default=1000, ge=1, le=5000)
    offset: int = Field(default=0, ge=0)


class DoneForm(Form):
    """Whether somebody has finished an exam."""

    done: bool = True


class ReadForm(Form):
    """How a reading is explained: at which share of malignant lesions."""

    prevalence: float | None = Field(default=None, gt=0, lt=1)


class SendForm(Form):
    """Which revision of the square the sender looks at."""

    revision: int | None = Field(default=None, ge=1)


class QueryForm(Form):
    """What is looked for in the PACS."""

    patient: str = Field(default="", max_length=64)
    name: str = Field(default="", max_length=64)
    date: str = Field(default="", max_length=32)
    accession: str = Field(default="", max_length=64)


class FetchForm(Form):
    """Which study is fetched from the PACS."""

    study_uid: Annotated[str, StringConstraints(pattern=r"^[0-9.]{1,64}$")]
