"""Refuse options of fairseq that do not work with the models of this package, or that do nothing."""

import ast

from lm_plugins.errors import Refused
from lm_plugins.files import check_writable
from lm_plugins.flags import Flags

EMA = "belongs to --store-ema, which is not supported: give --averaging ema (with --optimizer nt_asgd)"
NO_ORDER = "has no effect, because --seed and the epoch determine the order of the windows: leave it out"
FORGETS = (
    "does not save its count of validations, so a resumed run would have different learning rates: give "
    "--lr-scheduler plateau, and add 1 to --lr-patience"
)
WHOLE_MODELS = "trains and saves parts of a model, without the carried states: leave it out"
# {(flag, value), or a flag with any value but that of ACCEPTED: why it is refused}
REASONS: dict[tuple[str, str] | str, str] = {
    "--curriculum": NO_ORDER,
    "--data-buffer-size": "has no effect, because no thread reads ahead: leave it out",
    "--ema-decay": EMA,
    "--ema-fp32": EMA,
    "--ema-seed-model": EMA,
    "--ema-start-update": EMA,
    "--ema-update-freq": EMA,
    "--grouped-shuffling": NO_ORDER,
    "--model-parallel-size": WHOLE_MODELS,
    "--num-workers": "has no effect, because windows are cut in the process that trains: leave it out",
    "--pipeline-model-parallel": WHOLE_MODELS,
    "--quantization-config-path": "quantizes layers by names that these models do not have: leave it out",
    "--update-epoch-batch-itr": NO_ORDER,
    "--update-ordered-indices-seed": NO_ORDER,
    "--use-plasma-view": "has no effect, because fairseq's datasets do not read the corpus: leave it out",
    "--write-checkpoints-asynchronously": "would end training before its last checkpoint is written: "
    "leave it out",
    ("--ddp-backend", "fully_sharded"): WHOLE_MODELS,
    ("--ddp-backend", "slowmo"): "trains a different model on each process: use pytorch_ddp or legacy_ddp",
    ("--lr-scheduler", "reduce_lr_on_plateau"): FORGETS,
    ("--optimizer", "composite"): "needs groups of parameters that these models do not name: choose another",
    ("--zero-sharding", "os"): "needs fairscale, with which these models are not tested: leave it out",
}
ACCEPTED = {"--model-parallel-size": "1", "--num-workers": "0"}
DICTIONARIES = ("--optimizer-overrides", "--model-overrides")


def check_supported(flags: Flags) -> None:
    """Refuse flags of REASONS, and flags whose value fairseq could not use.

    Args:
        flags: the typed flags, without those that an architecture adds

    Raises:
        Refused: see above
    """
    for flag, value in flags.items():
        if flag in ACCEPTED and value in (None, "", ACCEPTED[flag]):
            continue
        reason = REASONS.get(flag) or REASONS.get((flag, value or ""))
        if reason:
            typed = flag if flag in REASONS and flag not in ACCEPTED else f"{flag} {value}"
            raise Refused(f"{typed} {reason}")
    if "--patience" in flags and "--disable-validation" in flags:
        raise Refused("--patience has no effect with --disable-validation: leave one of them out")
    for flag in DICTIONARIES:
        if flag in flags:
            _check_dictionary(flag, flags[flag] or "")
    if flags.get("--log-file"):
        check_writable(flags["--log-file"], "--log-file")


def _check_dictionary(flag: str, text: str) -> None:
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused(f"{flag} is {text or 'empty'}: give a dictionary, such as \"{{'dropout': 0.3}}\"")
