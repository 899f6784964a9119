"""Carrying out the jobs of a study: one after the other, or several processes side by side on one machine.

A job is trained and then scores its images; what is finished already is passed over. Every job writes only into its
own folder, so where and in which order jobs run changes nothing. A worker process ends when the study's process does.
"""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing.queues import Queue
from queue import Empty

from microcalc.errors import TrainingError
from microcalc.learn.inputs import prepared_images, reduced_images
from microcalc.learn.job import Job, Progress, Report
from microcalc.learn.predict import predict
from microcalc.learn.train import train

__all__ = ["run_job", "run_jobs"]

_POLL_SECONDS = 0.2

_reports: "list[Queue[Progress]]" = []
"""In a worker process: the queue to the study's process. Filled once, when the worker starts."""


def run_job(job: Job, report: Report) -> None:
    """Train the job's network and score its validation and test images; leave out what is done already."""
    train(job, report)
    predict(job, report)
    report(Progress(job.run, job.network, "done"))


def run_jobs(jobs: Sequence[Job], *, processes: int, report: Report, finished: Callable[[Job], None]) -> None:
    """Carry out all jobs.

    Args:
        jobs: in any order; large networks are begun first, so that the processes end at about the same time.
        processes: jobs at a time; 1 stays in this process.
        report: told of every step.
        finished: told of every job that is done.

    Raises:
        MicrocalcError: the first error of any job; the others are stopped, and go on when the study is started again.
    """
    if processes == 1:
        for job in jobs:
            run_job(job, report)
            finished(job)
        return
    _prepare_inputs(jobs, report)
    _run_side_by_side(sorted(jobs, key=_effort, reverse=True), processes, report, finished)


def _effort(job: Job) -> float:
    """Rough cost of a job: area of the input, times depth, times epochs."""
    return float(job.input_size**2 * job.spec.depth * job.max_epochs)


def _prepare_inputs(jobs: Sequence[Job], report: Report) -> None:
    """Fill the pixel caches before the workers start, so that none waits for another."""
    for size in sorted({job.input_size for job in jobs}):
        job = next(j for j in jobs if j.input_size == size)
        report(Progress(job.run, job.network, "prepare"))
        prepared_images(job.images.source, job.protocol.image, size)
        reduced_images(job.images.source, job.protocol.image, size)


def _run_side_by_side(jobs: Sequence[Job], processes: int, report: Report, finished: Callable[[Job], None]) -> None:
    context = multiprocessing.get_context("spawn")
    queue: Queue[Progress] = context.Queue()
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker, initargs=(queue, os.getpid()))
    try:
        running = {pool.submit(_in_worker, _placed(job, number)): job for number, job in enumerate(jobs)}
        while running:
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            _drain(queue, report)
            for future in done:
                job = running.pop(future)
                _raise_of(future, job)
                finished(job)
    except BaseException:
        for process in list(pool._processes.values()):  # waiting for hours of training would hide the error
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _placed(job: Job, number: int) -> Job:
    """Spread jobs over the GPUs, where there are several."""
    return replace(job, machine=replace(job.machine, device_index=number))


def _raise_of(future: "Future[None]", job: Job) -> None:
    try:
        future.result()
    except (MemoryError, multiprocessing.ProcessError) as error:
        raise TrainingError(f"{job.spec.title}, {job.run}: the worker process died; {error!r}") from error


def _start_worker(queue: "Queue[Progress]", parent: int) -> None:
    _reports.append(queue)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A study that was killed must not leave workers behind that go on writing into its folder."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def _in_worker(job: Job) -> None:
    run_job(job, _reports[0].put)


def _drain(queue: "Queue[Progress]", report: Report) -> None:
    while True:
        try:
            report(queue.get_nowait())
        except Empty:
            return
