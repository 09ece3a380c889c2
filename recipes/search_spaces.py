"""The spaces from which recipes.search draws flags: one for each family of architectures.

A space is a function of an Optuna trial that returns {flag: value}. A JSON file describes one as
{flag: limits}, where the limits are [low, high], [low, high, "log"] or {"choices": [...]}. If both limits are
integers, integers are drawn.
"""

import dataclasses
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
from fairseq.models import ARCH_MODEL_REGISTRY

from lm_plugins.architectures import ARCHITECTURES, PUBLISHED
from lm_plugins.flags import Flags, flag_of
from lm_plugins.training_flags import check_arch

THESIS = ("lstm_mos_bm", "lstm_mos_bmlg")
# For the user's own text: nothing is published, so the sizes are drawn as well.
SMALL = ("qrnn_small", "awd_lstm_small")
OURS = (  # flags that the search itself sets, or that would leave it without a score
    "--save-dir", "--arch", "--user-dir", "--log-format", "--no-save", "--disable-validation",
)  # fmt: skip
LARGEST = 1_200_000  # batch x window x units of the thesis
SIZES = {  # flag: its name among the parameters of a trial of the thesis, and its range there
    "--tokens-per-sample": ("window", range(20, 51)),
    "--batch-size": ("streams", range(10, 31)),
    "--decoder-hidden-size": ("units", range(500, 1501, 50)),
}
ADAM, SGD = {"adam", "torch_adam"}, {"sgd", "nt_asgd"}  # optimizers that share their learning rates
SPREAD = 0.2  # added to and subtracted from a published dropout

Space = dict[str, list | dict]
Draw = Callable[[optuna.Trial], dict[str, Any]]


def of_arch(arch: str, typed: Flags) -> Draw:
    """Return the space of an architecture, without the flags that the user `typed`."""
    check_arch(arch)
    if arch in THESIS:
        sizes = typed_sizes(typed)
        return lambda trial: untyped(thesis(trial, sizes), typed)
    if arch in SMALL:
        return described(small(), typed)
    if arch not in ARCHITECTURES:
        raise SystemExit(f"error: --arch {arch} has no published flags to search around: give --space FILE")
    return described(published(arch, typed), typed)


def small() -> Space:
    """Return the space of the architectures for the user's own text."""
    dropouts = {f"--{name}-dropout": [0.0, 0.5] for name in ("input", "hidden", "weight")}
    return {
        "--lr": [1e-3, 2e-2, "log"],
        "--dropout": [0.0, 0.5],
        **dropouts,
        "--decoder-embed-dim": {"choices": [100, 200, 300, 400]},
        "--decoder-hidden-size": {"choices": [200, 400, 600, 800]},
        "--decoder-layers": [1, 3],
    }


def published(arch: str, typed: Flags) -> Space:
    """Return the learning rates of the optimizer, and the dropouts around those of the architecture."""
    regime, architecture = typed.get("--regime", PUBLISHED), ARCHITECTURES[arch]
    flags = architecture.regimes.get(regime, architecture.training)
    if callable(flags):
        flags = flags(typed, 1, 1)  # the learning rate does not depend on the corpus
    rates = {} if "--lr" in typed else {"--lr": learning_rates(arch, flags, typed.get("--optimizer"))}
    options = dataclasses.fields(ARCH_MODEL_REGISTRY[arch].config)
    dropouts = {
        flag_of(option.name): around(option.default)
        for option in options
        if option.name.endswith("dropout") and option.default > 0
    }
    return {**rates, **dropouts}


def learning_rates(arch: str, flags: Flags, typed: str | None) -> list:
    """Return the limits of the learning rate of the `typed` optimizer, or of that in the training `flags`."""
    preset = flags.get("--optimizer")
    optimizer = typed or preset
    if optimizer == "nt_asgd" and flags.get("--averaging") != "never":
        return [10.0, 40.0]  # AWD-LSTM, QRNN and MoS: 15 to 30
    if optimizer in ADAM:
        return [3e-4, 1e-2, "log"]
    if "--lr" in flags and (optimizer == preset or {optimizer, preset} <= SGD):
        return [float(flags["--lr"]) / 4, float(flags["--lr"]) * 4, "log"]
    of = f" of --optimizer {optimizer}" if optimizer else ""
    raise SystemExit(f"error: --arch {arch} has no --lr{of} to search around: give --space FILE")


def around(probability: float) -> list[float]:
    """Return the limits of a dropout around a published `probability`."""
    return [round(max(0.0, probability - SPREAD), 3), round(min(0.9, probability + SPREAD), 3)]


def typed_sizes(typed: Flags) -> dict[str, int]:
    """Return those of SIZES that the user typed, on which other flags of the thesis depend.

    Raises:
        SystemExit: one is not a positive whole number, or no trial would be within the limit of the thesis
    """
    sizes = {flag: typed[flag] or "" for flag in SIZES if flag in typed}
    for flag, size in sizes.items():
        if not size.isdecimal() or int(size) == 0:
            raise SystemExit(f"error: {flag} is {size}: give a positive whole number")
    sizes = {flag: int(size) for flag, size in sizes.items()}
    if math.prod(sizes.get(flag, limits[0]) for flag, (_, limits) in SIZES.items()) > LARGEST:
        given = " and ".join(f"{flag} {size}" for flag, size in sizes.items())
        raise SystemExit(
            f"error: with {given}, batch x window x units is above the 1.2 million of the thesis in all "
            "trials: give smaller ones, or your own space with --space FILE"
        )
    return sizes


def thesis(trial: optuna.Trial, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Draw from the space of Zhang 2018, table A.2, of mixtures of softmaxes on Penn Treebank.

    Its learning rate and norm are for gradients summed over a window, and fairseq's are for their mean: both
    are converted. A trial whose batch x window x units exceeds 1.2 million is pruned.

    Args:
        sizes: those of SIZES that are not drawn
    """

    def size(flag: str) -> int:
        name, limits = SIZES[flag]
        if flag in sizes:
            return sizes[flag]
        return trial.suggest_int(name, limits[0], limits[-1], step=limits.step)

    window, streams, units = map(size, SIZES)
    norm = trial.suggest_float("norm", 5, 10)
    if streams * window * units > LARGEST:
        raise optuna.TrialPruned("batch x window x units is above 1.2 million")
    dropout = trial.suggest_float("dropout", 0.5, 0.7)
    return {
        "--init-range": (scale := trial.suggest_float("initial scale", 0.001, 0.1)),
        "--rnn-init-range": scale,
        "--lr": 1.0 * window,
        "--clip-norm": norm / window,
        "--decoder-layers": trial.suggest_int("layers", 1, 3),
        "--decoder-hidden-size": units,
        "--decoder-embed-dim": units,
        "--batch-size": streams,
        "--tokens-per-sample": window,
        "--dropout": dropout,
        "--hidden-dropout": dropout,
        "--input-dropout": dropout,
        "--n-experts": trial.suggest_int("components", 2, 20),
    }


def described(space: Space, typed: Iterable[str] = ()) -> Draw:
    """Return the function that draws from a `space` in the form of a file.

    A flag that the user `typed` is not drawn, so that no sampler takes it for the cause of a loss.
    """

    def draw(trial: optuna.Trial) -> dict[str, Any]:
        drawn = {}
        for flag, limits in untyped(space, typed).items():
            if isinstance(limits, dict):
                choice = trial.suggest_categorical(flag, limits["choices"])
                drawn[flag] = f"{choice:.15g}" if isinstance(choice, float) else choice  # as in the file
                continue
            low, high, *log = limits
            whole = isinstance(low, int) and isinstance(high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            drawn[flag] = suggest(flag, low, high, log=bool(log))
        return drawn

    return draw


def untyped(flags: dict[str, Any], typed: Iterable[str]) -> dict[str, Any]:
    """Return those of `flags` that the user has not `typed`."""
    return {flag: value for flag, value in flags.items() if flag not in typed}


def of_file(path: Path, typed: Iterable[str] = ()) -> Draw:
    """Return the space that a JSON file describes, without the flags that the user `typed`.

    Raises:
        SystemExit: it does not describe a space; the message says what is wrong.
    """
    try:
        space = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_with_unique_names)
    except OSError as error:
        raise SystemExit(f"error: --space {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SystemExit(f"error: --space {path} is not JSON: {error}") from error
    if not isinstance(space, dict) or not space:
        raise SystemExit(f"error: --space {path} is not an object {{flag: limits}}")
    for flag, limits in space.items():
        if flag in OURS:
            raise SystemExit(f"error: --space {path}: the search sets {flag}: leave it out")
        if re.fullmatch(r"--[a-z][\w-]*", flag) is None or not (_is_range(limits) or _is_choice(limits)):
            raise SystemExit(
                f'error: --space {path}: {flag}: {json.dumps(limits)} is none of "--flag": [low, high], '
                '[low, high, "log"] and {"choices": [...]}'
            )
    return described(space, typed)


def _with_unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object, in which each name must occur only once."""
    names = [name for name, _ in pairs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{repeated[0]} occurs twice")
    return dict(pairs)


def _is_range(limits: object) -> bool:
    """Return whether `limits` are [low, high] or [low, high, "log"]."""
    if not isinstance(limits, list) or len(limits) not in (2, 3) or limits[2:] not in ([], ["log"]):
        return False
    low, high = limits[:2]
    return _is_number(low) and _is_number(high) and low <= high and (len(limits) == 2 or low > 0)


def _is_number(value: object) -> bool:
    """Return whether `value` is a finite number that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_choice(limits: object) -> bool:
    """Return whether `limits` are {"choices": [...]} with distinct numbers or texts."""
    if (
        not isinstance(limits, dict)
        or limits.keys() != {"choices"}
        or not isinstance(limits["choices"], list)
    ):
        return False
    choices = limits["choices"]
    single = all(_is_number(choice) or (isinstance(choice, str) and choice) for choice in choices)
    return single and 0 < len(choices) == len(set(choices))
