"""An evaluation as people read it: data frames, printed tables, figures, sections of the report, and the files.

Takes `microcalc.stats.evaluation.Evaluation` and computes nothing new. The study and `microcalc evaluate` use the same.
"""

from microcalc.report.evaluated.frames import evaluation_frames
from microcalc.report.evaluated.sections import evaluation_sections, observed_scores
from microcalc.report.evaluated.write import run_content, write_evaluation_tables

__all__ = ["evaluation_frames", "evaluation_sections", "observed_scores", "run_content", "write_evaluation_tables"]
