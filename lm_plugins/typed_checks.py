"""Refuse typed flags that have no effect, or that fairseq would reject only after training."""

import logging
from dataclasses import is_dataclass

from fairseq.criterions import CRITERION_REGISTRY
from fairseq.dataclass.configs import FairseqConfig, GenerationConfig
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import MISSING

from lm_plugins.criterions.lm_cross_entropy import LMCrossEntropy
from lm_plugins.errors import Refused
from lm_plugins.flags import Flags, flag_of
from lm_plugins.ranges import check_typed
from lm_plugins.registered_options import KINDS, dataclass_of, dataclass_of_arch, options_of

logger = logging.getLogger(__name__)

METRICS = ("loss", "nll_loss", "ppl")  # the metrics that LMCrossEntropy logs in validation
NO_DEFAULT = ("total_num_update",)  # declared as --max-update, which fairseq-train does not fill in
OF_HEADS = {  # options of one output layer, which the others of this package ignore
    "--n-experts": "mos",
    "--latent-dropout": "mos",
    "--adaptive-softmax-cutoff": "adaptive_softmax",
    "--adaptive-softmax-factor": "adaptive_softmax",
}
OF_FAIRSEQ = [group.type for group in FairseqConfig.__dataclass_fields__.values() if is_dataclass(group.type)]


def check_numbers(flags: Flags) -> None:
    """Refuse numbers outside of the ranges that the options declare.

    Raises:
        Refused: see :func:`lm_plugins.ranges.check`
    """
    chosen = [
        dataclass_of_arch(flags.get("--arch")),
        TASK_DATACLASS_REGISTRY.get(flags.get("--task")),
        *(dataclass_of(kind, flags.get(flag_of(kind))) for kind in KINDS),
    ]
    check_typed(flags, [*OF_FAIRSEQ, *filter(is_dataclass, chosen)])


def check_required(flags: Flags) -> None:
    """Refuse a criterion, an optimizer or a schedule without an option that has no default.

    Raises:
        Refused: see above
    """
    for kind in KINDS:
        flag = flag_of(kind)
        for name, field in options_of(kind, flags.get(flag)).items():
            if (field.default == MISSING or name in NO_DEFAULT) and flag_of(name) not in flags:
                raise Refused(f"{flag} {flags[flag]} needs {flag_of(name)}: give it")


def check_training(flags: Flags) -> None:
    """Refuse flags of fairseq-train that have no effect, or that would make it keep the wrong checkpoint.

    Raises:
        Refused: see above
    """
    _refuse_max_tokens(flags)
    _refuse_options_of_other_heads(flags)
    if "--averaging-decay" in flags and flags.get("--averaging") != "ema":
        raise Refused(
            "--averaging-decay has no effect without --averaging ema: give --averaging ema, or leave it out"
        )
    hook, backend = flags.get("--ddp-comm-hook") or "none", flags.get("--ddp-backend")
    if hook != "none" and backend in ("legacy_ddp", "no_c10d"):
        raise Refused(f"--ddp-comm-hook {hook} has no effect with --ddp-backend {backend}: leave it out")
    _check_best_metric(flags)
    _check_last_rate(flags)
    _check_cosine(flags)


def warn_of_decoupled_decay(flags: Flags) -> None:
    """Warn in one line if --weight-decay is typed for fairseq's Adam, which is AdamW."""
    if flags.get("--optimizer") == "adam" and float(flags.get("--weight-decay") or 0):
        logger.warning(
            f"WARNING: --weight-decay {flags['--weight-decay']} of --optimizer adam is decoupled (AdamW): it "
            "shrinks weights by lr x decay; for the L2 term of the published training, use --optimizer "
            "torch_adam"
        )


def check_evaluation(program: str, flags: Flags) -> None:
    """Refuse flags of an evaluation that have no effect.

    Raises:
        Refused: see above
    """
    if program in ("eval-lm", "validate"):
        _refuse_max_tokens(flags)
    if program in ("generate", "interactive"):
        _check_sampling(flags)
    if program != "eval-lm":
        return
    kind = flags.get("--dynamic-evaluation") or "none"
    for flag, kinds in {
        "--dynamic-lr": ("sgd", "rms"),
        "--dynamic-decay": ("sgd", "rms"),
        "--dynamic-epsilon": ("rms",),
        "--dynamic-batches": ("rms",),
    }.items():
        if flag in flags and kind not in kinds:
            raise Refused(
                f"{flag} has no effect without --dynamic-evaluation {' or '.join(kinds)}: give that or "
                f"leave out {flag}"
            )
    if "--eval-warmup" in flags and (flags.get("--eval-streams") or "1") == "1":
        raise Refused("--eval-warmup has no effect on a single stream: give --eval-streams, or leave it out")
    of_interpolation = [f"--interpolate-{name}" for name in ("with", "ngram", "tune", "from")]
    for flag in ("--cache-tune", "--cache-from", *of_interpolation):
        if flag in flags and not flags[flag]:
            raise Refused(f"{flag} is empty: give the path of a file, or leave it out")


def _check_best_metric(flags: Flags) -> None:
    """Refuse a metric that validation does not log, and the largest value of one whose smallest is best."""
    criterion = CRITERION_REGISTRY.get(flags.get("--criterion"))
    if getattr(criterion, "reduce_metrics", None) is not LMCrossEntropy.reduce_metrics:
        return  # it logs metrics of its own
    metric = flags.get("--best-checkpoint-metric", METRICS[0])
    if metric not in METRICS:
        raise Refused(
            f"--best-checkpoint-metric is {metric}, which validation does not log: choose from "
            f"{', '.join(METRICS)}"
        )
    if "--maximize-best-checkpoint-metric" in flags:
        raise Refused(
            f"--maximize-best-checkpoint-metric would keep the checkpoint with the highest {metric}, the "
            "worst one: leave it out"
        )


def _check_last_rate(flags: Flags) -> None:
    """Refuse a --stop-min-lr with which training would end at once."""
    if "--stop-min-lr" not in flags or "," in (flags.get("--lr") or ""):
        return
    try:
        first = _first_rate(flags)
        stops = float(flags["--stop-min-lr"] or "nan") >= first
    except ValueError:
        return  # the parser names it
    if stops:
        raise Refused(
            f"--stop-min-lr {flags['--stop-min-lr']} is not below the first learning rate, {first:g}: "
            "training would end at once; lower --stop-min-lr"
        )


def _first_rate(flags: Flags) -> float:
    """Return the learning rate of the first update; a warm-up of fairseq's schedules begins below --lr.

    Raises:
        ValueError: a flag is not a number
    """
    rate, warm_up = float(flags.get("--lr") or "nan"), float(flags.get("--warmup-updates") or 0)
    if warm_up <= 0:
        return rate
    schedule, start = flags.get("--lr-scheduler", "fixed"), float(flags.get("--warmup-init-lr") or -1)
    if schedule == "fixed":
        return rate / warm_up
    return start if start >= 0 else float(flags.get("--min-lr") or 0) if schedule == "cosine" else 0.0


def _check_cosine(flags: Flags) -> None:
    """Refuse a cosine without a length, or with a warm-up that leaves none: fairseq would divide by it."""
    if flags.get("--lr-scheduler") != "cosine" or float(flags.get("--lr-period-updates") or 0) > 0:
        return
    last, warm_up = (int(flags.get(flag) or 0) for flag in ("--max-update", "--warmup-updates"))
    if last == 0:
        raise Refused("--lr-scheduler cosine needs its length: give --max-update or --lr-period-updates")
    if warm_up >= last:
        raise Refused(
            f"--warmup-updates {warm_up} takes all updates of --max-update {last}, so the learning rate "
            "never falls: lower --warmup-updates"
        )


def _check_sampling(flags: Flags) -> None:
    """Refuse what fairseq refuses by a traceback."""
    if "--sampling" not in flags:
        for flag in ("--sampling-topk", "--sampling-topp"):
            if float(flags.get(flag) or -1) >= 0:
                raise Refused(f"{flag} has no effect without --sampling: give it, or leave out {flag}")
        return
    beam, nbest = (
        int(flags.get(flag) or default)
        for flag, default in (("--beam", GenerationConfig.beam), ("--nbest", GenerationConfig.nbest))
    )
    if beam != nbest:
        raise Refused(
            f"--sampling draws a text for each of --beam {beam}, but --nbest prints {nbest}: give both the "
            "same number, such as --beam 1"
        )


def _refuse_max_tokens(flags: Flags) -> None:
    for flag in ("--max-tokens", "--max-tokens-valid"):
        if flag in flags:
            raise Refused(
                f"{flag} has no effect, because a batch is a window of --tokens-per-sample tokens from "
                "--batch-size streams: leave it out"
            )


def _refuse_options_of_other_heads(flags: Flags) -> None:
    model = dataclass_of_arch(flags.get("--arch"))
    chosen = flags.get("--output-layer") or getattr(model, "output_layer", None)
    for flag, head in OF_HEADS.items():
        if flag in flags and chosen != head and chosen in ("softmax", *OF_HEADS.values()):
            raise Refused(
                f"{flag} has no effect with --output-layer {chosen}: give --output-layer {head}, or leave it "
                "out"
            )
