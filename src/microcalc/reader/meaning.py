"""What a study knows about its own scores: the frozen cut-off, what it means, Platt's line, the range ever seen.

Everything comes from the study's predictions table by the same functions that made its tables: cut-off and line from
the validation set, their worth from the test set, which chose nothing.
"""

from functools import cached_property

import numpy as np

from microcalc.predictions import ScoreTable
from microcalc.protocol import EvaluationSettings
from microcalc.reader.reading import Interval, Meaning
from microcalc.stats.consequences import PredictiveValue, consequences
from microcalc.stats.cutoffs import CutoffChoice, choose_cutoff
from microcalc.stats.operating_point import Counts, Measure, confusion
from microcalc.stats.proportions import wilson
from microcalc.stats.recalibration import Recalibration, RecalibrationMethod, fit_recalibration
from microcalc.stats.replicates import Resampling
from microcalc.stats.summary import patient_plan
from microcalc.vocabulary import MALIGNANT, Split

__all__ = ["Judgement"]

_PREVALENCES_KEPT = 64

Pair = tuple[float, float]


class Judgement:
    """One model of a finished run: cut-off, calibration, and what they are worth.

    Args:
        validation: scores that choose.
        test: scores that judge.
        model: ``ensemble``, or the only network.
        settings: level of the limits, bootstrap replicates and seed of the study.
    """

    chosen_on = Split.VALIDATION.value

    def __init__(self, validation: ScoreTable, test: ScoreTable, *, model: str, settings: EvaluationSettings) -> None:
        self.model = model
        self.images, self.patients = len(test.y_true), len(set(test.patients))
        self._settings = settings
        self._test, self._truth = test, test.y_true
        self._scores = test.scores[:, test.models.index(model)]
        chooser = validation.scores[:, validation.models.index(model)]
        self.choice: CutoffChoice = choose_cutoff(validation.y_true, chooser)
        self.recalibration: Recalibration = fit_recalibration(validation.y_true, chooser, RecalibrationMethod.PLATT)
        both = np.concatenate([chooser, self._scores])
        self.seen: Pair = (float(both.min()), float(both.max()))
        self._meanings: dict[float, Meaning] = {}

    @property
    def cutoff(self) -> float:
        """Malignant is called above it."""
        return self.choice.cutoff

    @property
    def prevalence(self) -> float:
        """Share of malignant images in the test set: what is taken where no prevalence is named."""
        return float((self._truth == MALIGNANT).mean())

    @cached_property
    def counts(self) -> Counts:
        """The four counts of the test set at the cut-off."""
        return confusion(self._truth, self._scores, self.cutoff)

    def calibrated(self, score: float) -> float | None:
        """The score after Platt's line; None where none could be learnt."""
        value = float(self.recalibration.apply(np.array([score]))[0])
        return value if np.isfinite(value) else None

    def meaning(self, prevalence: float) -> Meaning:
        """What the cut-off means where so many lesions are malignant; the last ones are kept.

        Raises:
            StatisticsError: a prevalence that is not between 0 and 1.
        """
        known = self._meanings.get(prevalence)
        if known is None:
            known = self._meaning(prevalence)
            if len(self._meanings) >= _PREVALENCES_KEPT:
                self._meanings.clear()
            self._meanings[prevalence] = known
        return known

    def _meaning(self, prevalence: float) -> Meaning:
        confidence = self._settings.confidence
        found = consequences(
            self._truth,
            self._scores,
            self.cutoff,
            plan=self._replicates,
            prevalences=(prevalence,),
            confidence=confidence,
        )
        low, high = found.missed_patient
        ppv, npv = found.predictive
        return Meaning(
            prevalence=prevalence,
            sensitivity=self._share(Measure.SENSITIVITY, (1 - high, 1 - low)),
            specificity=self._share(Measure.SPECIFICITY, found.avoided_patient),
            ppv=_predictive(ppv),
            npv=_predictive(npv),
            confidence=confidence,
            images=self.images,
            patients=self.patients,
        )

    @cached_property
    def _replicates(self) -> Resampling:
        """The very replicates of the study's tables."""
        return patient_plan(self._test, self._settings)

    def _share(self, measure: Measure, limits: Pair) -> Interval:
        successes, total = self.counts.fraction(measure)
        if np.isfinite(limits).all():
            return Interval(successes / total, *limits, "patient_bootstrap")
        plain = wilson(successes, total, confidence=self._settings.confidence)
        return Interval(plain.estimate, plain.low, plain.high, plain.method)


def _predictive(value: PredictiveValue) -> Interval:
    if np.isfinite([value.low_patient, value.high_patient]).all():
        return Interval(value.estimate, value.low_patient, value.high_patient, "patient_bootstrap")
    return Interval(value.estimate, value.low, value.high, "logit")
