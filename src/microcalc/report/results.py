"""From the statistics of a run to the models that the report shows: curves, bands and operating points gathered.

The step between `microcalc.stats` and `content`, shared by the study and by the evaluation of a table of scores.
Nothing is drawn here.
"""

from collections.abc import Mapping

from microcalc.predictions import ScoreTable
from microcalc.report.content import ModelResult
from microcalc.stats import Table1, resampling, roc_band, roc_curve
from microcalc.vocabulary import BENIGN, MALIGNANT

__all__ = ["model_results"]


def model_results(
    test: ScoreTable, table: Table1, *, titles: Mapping[str, str] | None = None, by_patient: bool = False
) -> tuple[ModelResult, ...]:
    """Gather what the figures need of every model.

    Args:
        test: scores of the test set.
        table: `microcalc.stats.table1` of the same scores; its replicates, seed and confidence make the bands.
        titles: names of models as people write them, where they are not the paper's.
        by_patient: resample patients for the bands; else images, as in the paper.

    Returns:
        One result for each model of ``test``, in its order; undefined curves with their reason and no band.
    """
    both = bool((test.y_true == BENIGN).any() and (test.y_true == MALIGNANT).any())
    clusters = test.patients if by_patient else None
    plan = resampling(test.y_true, clusters=clusters, replicates=table.replicates, seed=table.seed) if both else None
    results = []
    for j, model in enumerate(test.models):
        score = test.scores[:, j]
        curve = roc_curve(test.y_true, score)
        band = roc_band(test.y_true, score, plan=plan, confidence=table.confidence) if plan is not None else None
        results.append(
            ModelResult(
                model=model,
                curve=curve,
                auc=float(table.auc.auc[j]),
                low=float(table.auc.low[j]),
                high=float(table.auc.high[j]),
                reason=table.auc.reasons[j] or curve.reason,
                points=tuple(p for p in table.points if p.model == model),
                band=band if band is not None and not band.reason else None,
                confidence=table.confidence,
                title=(titles or {}).get(model, ""),
            )
        )
    return tuple(results)
