"""The samplers with which recipes.search chooses the flags of its next trial.

random: independently; tpe: Bayesian optimisation with a tree-structured Parzen estimator (Bergstra et al.
2011); gp: Bayesian optimisation with a Gaussian process; grid: every point of the space once. The points of a
grid are queued in the study, so that parallel workers share them and a continued search gets the rest.
Optuna's GridSampler is not used, because it ends a study by a call that works only within its own loop.
"""

import itertools
import json
import os
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import optuna
from optuna import Study, Trial
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from preprocess.lock import locked
from recipes.search_spaces import untyped

GRID = "grid"
WORKER = "worker"  # attribute of a trial: machine and process that train it
DEFAULT = "tpe"
SAMPLERS = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    GRID: optuna.samplers.RandomSampler,  # draws what the queue leaves open: nothing
    "bayesian": optuna.samplers.TPESampler,  # the name of tpe in older commands
}


def sampler(name: str, seed: int | None, trials: int = 0) -> BaseSampler:
    """Return the sampler that --sampler names.

    Args:
        seed: None draws one
        trials: number of trials that the study has; a continued search draws other points than before
    """
    mixed = None if seed is None else int(np.random.SeedSequence([seed, trials]).generate_state(1)[0])
    return SAMPLERS[name](seed=mixed)


def pruner(name: str) -> optuna.pruners.BasePruner:
    """Return the pruner for the sampler `name`: every point of a grid is trained to the end."""
    if name == GRID:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)


def points(space: dict[str, list | dict]) -> Iterator[dict[str, object]]:
    """Yield {flag: value} for each point of the grid of a space of choices and whole numbers.

    Raises:
        SystemExit: a flag of the space has real numbers
    """
    values = []
    for flag, limits in space.items():
        if isinstance(limits, dict):
            values.append(limits["choices"])
        elif all(isinstance(limit, int) for limit in limits):
            values.append(range(limits[0], limits[1] + 1))
        else:
            raise SystemExit(
                f"error: --sampler grid needs choices or whole numbers, and {flag} has {json.dumps(limits)}: "
                'give {"choices": [...]}'
            )
    return (dict(zip(space, point, strict=True)) for point in itertools.product(*values))


def queue_grid(study: Study, path: Path | None, typed: Iterable[str] = ()) -> None:
    """Queue the points of the grid in the file `path` that the study lacks, or whose trials failed.

    Args:
        typed: flags that the user typed, which are not dimensions of the grid

    Raises:
        SystemExit: there is no file, or it has real numbers
    """
    if path is None:
        raise SystemExit("error: --sampler grid needs a space of choices or whole numbers: give --space FILE")
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.FAIL]
    tried = [trial.system_attrs.get("fixed_params", trial.params) for trial in trials]
    for point in points(untyped(json.loads(path.read_text(encoding="utf-8")), typed)):
        if point not in tried:
            study.enqueue_trial(point)


def fail_killed(study: Study) -> None:
    """Mark as failed the trials that were killed on this machine and still count as running."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        machine, process = trial.user_attrs.get(WORKER, ("", 0))
        if machine == platform.node() and not is_alive(process):
            study.tell(trial.number, state=TrialState.FAIL)


def is_alive(process: int) -> bool:
    """Return whether this machine has a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True


def next_point(study: Study, folder: Path) -> Trial | None:
    """Return a trial of the next point of the grid, or None if other workers have taken the rest.

    Args:
        folder: folder of the trials, which is locked while this worker takes a point
    """
    with locked(folder):
        return waiting_point(study)


def waiting_point(study: Study) -> Trial | None:
    """Return what :func:`next_point` returns; the caller holds the lock."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return study.ask() if waiting else None
