"""A finished study opened for reading: its protocol, the run that reads, weights, scores, and training facts.

Nothing is computed here; what a study lacks is said with the way out.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from microcalc.cohort.storage import sha256_of_file
from microcalc.errors import StudyError, WeightsError
from microcalc.learn.train import BEST, RECORD
from microcalc.predictions import ScoreTable, read_predictions, score_table
from microcalc.protocol import ENSEMBLE, Protocol, read_protocol
from microcalc.study.folder import SCHEMA_VERSION, StudyFolder, read_json
from microcalc.study.plan import run_name
from microcalc.study.training_facts import TrainingFacts, facts_of_record
from microcalc.vocabulary import Split

__all__ = ["FinishedStudy", "open_finished_study"]


@dataclass(frozen=True)
class FinishedStudy:
    """One run of a finished study.

    Attributes:
        path: of the folder.
        protocol: of the study.
        run: that reads.
        runs: all of the study.
        version: of microcalc that made the study.
        identity: SHA-256 of the cohort's images, of its table, as the study keeps them.
        trained: what the training images were like; None for studies that do not say.
        validation, test: scores of all models of the run.
    """

    path: Path
    protocol: Protocol
    run: str
    runs: tuple[str, ...]
    version: str
    identity: Mapping[str, str]
    trained: TrainingFacts | None
    validation: ScoreTable
    test: ScoreTable

    @property
    def name(self) -> str:
        """Of the protocol."""
        return self.protocol.name

    @property
    def networks(self) -> tuple[str, ...]:
        """In the protocol's order."""
        return self.protocol.networks

    @property
    def model(self) -> str:
        """Whose cut-off and calibration count: the ensemble's, or the only network's."""
        return ENSEMBLE if ENSEMBLE in self.test.models else self.networks[0]

    def weights(self, network: str) -> Path:
        """File of a network's weights."""
        return StudyFolder(self.path).network(self.run, network) / BEST

    def check_weights(self, network: str) -> None:
        """Make sure that a network's weights are those that the study chose, to the last bit.

        Raises:
            WeightsError: they are missing, or others.
        """
        path = self.weights(network)
        wanted = self._digests[network]
        try:
            found = sha256_of_file(path)
        except OSError as error:
            raise WeightsError(f"{path}: the study's weights must be readable; {error.strerror or error}") from error
        if found != wanted:
            raise WeightsError(
                f"{path}: the weights must be those that the study chose; the file was changed or damaged since. Copy "
                "the study again from where it was made"
            )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 that tells this run from all others: its weights, and the scores that cut-off and meaning rest on."""
        parts = [self.run, *self._digests.values(), sha256_of_file(StudyFolder(self.path).predictions)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def _digests(self) -> dict[str, str]:
        """SHA-256 of each network's weights when it was trained."""
        folder = StudyFolder(self.path)
        records = {name: read_json(folder.network(self.run, name) / RECORD) for name in self.networks}
        return {name: str(record.get("best_sha256", "")) for name, record in records.items()}


def open_finished_study(path: Path, *, run: str | None = None) -> FinishedStudy:
    """Open a study that is complete.

    Args:
        path: of its folder.
        run: which run reads; default the protocol's first, which is the paper's main one.

    Raises:
        StudyError: no study, not finished, of another schema, or without such a run.
        ProtocolError: the protocol file is damaged.
        TableError: the predictions are damaged, or lack a model.
    """
    folder = StudyFolder(path)
    if not folder.record.is_file() or not folder.protocol.is_file():
        raise StudyError(f"{path}: must be the folder of a study, with study.json and protocol.yaml; it holds none")
    record = read_json(folder.record)
    if record.get("schema") != SCHEMA_VERSION:
        raise StudyError(f"{path}: this version reads studies of schema {SCHEMA_VERSION}; got {record.get('schema')!r}")
    if record.get("complete") is not True:
        raise StudyError(
            f"{path}: the study must be finished before it can read new cases; it is not. Start it again with the same "
            "command: it goes on where it stopped"
        )
    protocol = read_protocol(folder.protocol)
    runs = tuple(run_name(rate) for rate in protocol.training.learning_rates)
    chosen = runs[0] if run is None else run
    if chosen not in runs:
        raise StudyError(f"{path}: the study has the runs {', '.join(runs)}; got {chosen!r}")
    predictions = read_predictions(folder.predictions)
    models = (*protocol.networks, ENSEMBLE) if len(protocol.networks) > 1 else protocol.networks
    tables = {s: score_table(predictions, run=chosen, split=s, models=models) for s in (Split.VALIDATION, Split.TEST)}
    cohort = record.get("cohort")
    return FinishedStudy(
        path=path,
        protocol=protocol,
        run=chosen,
        runs=runs,
        version=str(record.get("microcalc", "")),
        identity={str(k): str(v) for k, v in cohort.items()} if isinstance(cohort, dict) else {},
        trained=facts_of_record(record),
        validation=tables[Split.VALIDATION],
        test=tables[Split.TEST],
    )
