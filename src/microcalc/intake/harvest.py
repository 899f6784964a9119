"""From lesions in mammograms to a cohort folder: cut, name, count, write. One way for every DICOM source.

What a source could not use comes with it and stays on record: as verdicts, and as the counts of the flow diagram.
With a key patients, UIDs, lesions and sites get pseudonyms and dates are shifted; without one (public collections,
which have pseudonyms already) they stay as published.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from microcalc.cohort.images import ROI_SIDE
from microcalc.cohort.table import Cohort, CohortWriter, Verdict, read_cohort
from microcalc.errors import InputError
from microcalc.intake.lesions import CutRoi, CutSettings, Lesion, NotCut, cut_lesions
from microcalc.intake.naming import RowNames
from microcalc.intake.rules import Flow

__all__ = ["Harvest", "HarvestSettings", "LeftOut", "harvest", "refuse_faults"]

Progress = Callable[[int, int], None]
"""Called with the ROIs done and all of them."""

_SHOWN = 100
"""Faults that an error spells out; the others are named."""

_NAMES_SHOWN = 3


@dataclass(frozen=True)
class LeftOut:
    """Something of the source that gives no ROI.

    Attributes:
        source: row or file; names no patient and no folder of the machine.
        code: short name of the reason.
        reason: in a few words, for the flow diagram.
        message: in full.
        patient: as in the source; "" where nobody knows.
        by_rule: whether it is left out on purpose; else it is a fault, which refuses the whole unless told otherwise.
    """

    source: str
    code: str
    reason: str
    message: str
    patient: str = ""
    by_rule: bool = False


@dataclass(frozen=True)
class HarvestSettings:
    """How a cohort is made.

    Attributes:
        cut: how ROIs are cut.
        processes: so many read.
        skip_bad: leave faults out, on record; else one fault refuses the whole.
        key: key file of the pseudonyms, outside the cohort; None keeps the names of the source.
    """

    cut: CutSettings = field(default_factory=CutSettings)
    processes: int = 1
    skip_bad: bool = False
    key: Path | None = None


@dataclass(frozen=True)
class Harvest:
    """All that a source yields.

    Attributes:
        source: as the person named it, for messages.
        description: entry of ``sources`` in ``cohort.json``.
        lesions: whose ROIs are cut.
        left_out: what gives none.
        remarks: what a person must know of the source as a whole.
        reasons: code and words of the reasons, in the order of the flow diagram.
        rules: codes of the rules that were asked; they are told in the flow even where they left nobody out.
        record: further entries of ``cohort.json``.
        published_names: lesions are named as published, which tells the patient; a key hides these names too.
    """

    source: str
    description: Mapping[str, object]
    lesions: Sequence[Lesion]
    left_out: Sequence[LeftOut] = ()
    remarks: Sequence[Verdict] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[str] = ()
    record: Mapping[str, object] = field(default_factory=dict)
    published_names: bool = False


def harvest(source: Harvest, out: Path, settings: HarvestSettings, *, progress: Progress | None = None) -> Cohort:
    """Cut every lesion and write the cohort.

    Args:
        source: what there is.
        out: cohort folder; new or empty.
        settings: how.
        progress: called after each lesion.

    Raises:
        InputError: faults (all are named) without ``skip_bad``, or no ROI is left.
        CohortError: ``out`` is not empty.
        MicrocalcError: the disk is full, ``out`` cannot be written, or a process died.
    """
    refuse_faults(source, source.left_out, settings)
    with CohortWriter(out, sources=[source.description]) as writer:
        basket = _Basket(writer, RowNames(settings.key, out))
        spacing = settings.cut.scale.spacing_mm
        writer.record["roi"] = {"side": ROI_SIDE, "pixel_mm": "the mammogram's own" if spacing is None else spacing}
        left_out = list(source.left_out)
        answers = cut_lesions(source.lesions, settings.cut, processes=settings.processes)
        for done, answer in enumerate(answers, start=1):
            if isinstance(answer, NotCut):
                left_out.append(_not_cut(answer))
            elif settings.skip_bad or len(left_out) == len(source.left_out):
                basket.put(answer)
            if progress is not None:
                progress(done, len(source.lesions))
        refuse_faults(source, left_out, settings)
        basket.close(source, left_out)
    return read_cohort(out)


def refuse_faults(source: Harvest, left_out: Sequence[LeftOut], settings: HarvestSettings) -> None:
    """Refuse a source with faults, unless they are to be left out; refuse one without any lesion.

    Raises:
        InputError: names every fault.
    """
    faults = [lost for lost in left_out if not lost.by_rule]
    lost_cuts = len(left_out) - len(source.left_out)
    remain = len(source.lesions) - lost_cuts
    if remain and (settings.skip_bad or not faults):
        return
    texts = [f"  {lost.source}: {lost.message}" for lost in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        texts.append(f"  and {len(faults) - _SHOWN} more: {', '.join(lost.source for lost in faults[_SHOWN:])}")
    if not remain:
        rules = Counter(lost.reason for lost in left_out if lost.by_rule)
        texts += [f"  {count} left out by rule: {reason}" for reason, count in rules.items()]
        head, way_out = "at least one ROI must be left for a cohort; none is", "Mend them and start again."
    else:
        head = f"every ROI must be usable; {len(faults)} of {len(source.lesions) + len(source.left_out)} are not"
        way_out = "Mend them, or leave them out with --skip-bad."
    raise InputError(f"{source.source}: {head}:\n" + "\n".join(texts) + f"\n{way_out} Nothing was written.")


def _not_cut(answer: NotCut) -> LeftOut:
    lesion = answer.lesion
    return LeftOut(lesion.source, answer.code, _words(answer.code), answer.message, lesion.row.get("patient_id", ""))


def _words(code: str) -> str:
    return code.replace("_", " ").replace("-", " ")


class _Basket:
    """ROIs on their way into a cohort: names them, counts them, and closes the record."""

    def __init__(self, writer: CohortWriter, names: RowNames) -> None:
        self._writer = writer
        self._names = names
        self._remarks: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._kinds: dict[str, Counter[str]] = defaultdict(Counter)
        self._image_facts: dict[str, dict[str, str]] = {"detector": {}, "study": {}}

    def put(self, roi: CutRoi) -> None:
        """Add one ROI."""
        row = self._names.named({**roi.columns, **roi.lesion.row})
        for code, words in roi.remarks:
            self._remarks[code].append((str(row["image_id"]), words))
        facts = roi.facts
        self._image_facts["detector"][str(row["image_id"])] = facts.detector
        if facts.study_uid:
            self._image_facts["study"][str(row["image_id"])] = self._names.uid(facts.study_uid)
        for kind, value in (
            ("detector", facts.detector), ("spacing_source", facts.spacing_source or "unknown"),
            ("voi", facts.voi.split(" ")[0] or "none"), ("lossy", "yes" if facts.lossy else "no"),
            ("magnification_view", "yes" if facts.spot_magnification else "no"),
        ):  # fmt: skip
            self._kinds[kind][value] += 1
        self._writer.add_encoded(row, roi.png)

    def close(self, source: Harvest, left_out: Sequence[LeftOut]) -> None:
        """Fill in what follows from all rows together: dates, flow, verdicts."""
        self._names.close(self._writer)
        flow = Flow(source.reasons, source.rules)
        for lost in left_out:
            flow.leave_out(lost.code, lost.reason, lost.patient)
        for patient in self._names.patients:
            flow.keep(patient)
        self._writer.record |= source.record
        self._writer.record["image_facts"] = self._image_facts
        self._writer.record["flow"] = flow.record()
        self._writer.record["mammograms"] = {kind: dict(sorted(c.items())) for kind, c in self._kinds.items()}
        for verdict in (*source.remarks, *self._summed_remarks(), *self._names.remarks("mammograms")):
            self._writer.reject(verdict)
        for lost in left_out:
            name = self._names.source(lost.source) if source.published_names else lost.source
            self._writer.reject(Verdict(name, False, lost.code, lost.message))

    def _summed_remarks(self) -> list[Verdict]:
        """One verdict for each kind of remark: a thousand films need not be said a thousand times."""
        verdicts = []
        for code, said in sorted(self._remarks.items()):
            names, words = [name for name, _ in said], said[0][1]
            more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
            which = f"{', '.join(names[:_NAMES_SHOWN])}{more}"
            example = "" if len({text for _, text in said}) == 1 else "for example "
            noun = "image" if len(names) == 1 else "images"
            image_id = names[0] if len(names) == 1 else ""
            message = f"{len(names)} {noun}: {example}{words} ({which})"
            verdicts.append(Verdict("mammograms", True, code, message, image_id))
        return verdicts
