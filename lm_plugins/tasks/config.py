"""The options of the task."""

from dataclasses import dataclass, field
from typing import List, Optional

from fairseq.data.indexed_dataset import get_available_dataset_impl
from fairseq.dataclass import ChoiceEnum
from omegaconf import II

from lm_plugins.data.text_json import LEVELS
from lm_plugins.evaluation.options import EvaluationConfig
from lm_plugins.matmul_precision import CHOICES
from lm_plugins.ranges import at_least


@dataclass
class RecurrentLanguageModelingConfig(EvaluationConfig):
    data: Optional[str] = field(
        default=None,
        metadata={
            "help": "data folder written by fairseq-preprocess --destdir, or several folders separated by "
            "colons; training then reads one after another, options that count epochs count passes over all "
            "of them, and validation uses the first one"
        },
    )
    text_level: Optional[ChoiceEnum(list(LEVELS))] = field(
        default=None,
        metadata={
            "help": "kind of the tokens in a data folder that does not record it (default: word); "
            "underscore: characters, with _ for a space; byte: bytes, written as decimal numbers"
        },
    )
    tokens_per_sample: int = field(
        default=70,
        metadata={
            "range": at_least(1),
            "help": "length of the windows of truncated back-propagation through time, in tokens, at least "
            "1 (awd-lstm-lm: bptt, 70); does not change the perplexity in evaluation, except in dynamic "
            "evaluation and with --independent-windows",
        },
    )
    random_start: bool = field(
        default=False,
        metadata={
            "help": "draw the length of each epoch's first window uniformly from 1 to --tokens-per-sample, "
            "so that window boundaries differ between epochs (OpenSeq2Seq)"
        },
    )
    independent_windows: bool = field(
        default=False,
        metadata={
            "help": "start the recurrent state of every window from zeros, and shuffle the windows of the "
            "training text in every epoch (OpenSeq2Seq); validation and fairseq-eval-lm then also score "
            "each window of --tokens-per-sample tokens from zeros, which raises the perplexity"
        },
    )
    regime: str = field(  # no choices: an architecture of a plug-in may declare others
        default="published",
        metadata={
            "help": "set of training flags that is added for the architecture; published: the published "
            "flags; short: those of a short run of 60 epochs, for qrnn_ptb only (published: 550 epochs); an "
            "architecture of a plug-in may have others"
        },
    )
    rotate_streams: bool = field(
        default=False,
        metadata={
            "help": "start each stream of the training text at a new position in every epoch, drawn "
            "uniformly (partial shuffle, Press 2019, arXiv:1903.04167, which lowered the test perplexity on "
            "PTB by 0.4 to 0.5)"
        },
    )
    bptt_variation: float = field(
        default=0.0,
        metadata={
            "range": at_least(0),
            "help": "standard deviation of the training window lengths, in tokens, at least 0; lengths are "
            "drawn from a normal distribution around --tokens-per-sample, or with probability 0.05 around "
            "half of it, and the learning rate is scaled with the length; 0: fixed length (AWD-LSTM: 5)",
        },
    )
    bptt_max_delta: int = field(
        default=20,
        metadata={
            "range": at_least(0),
            "help": "with --bptt-variation, maximum number of tokens by which a window may exceed "
            "--tokens-per-sample, at least 0 (mos: max_seq_len_delta, 40 on PTB and 20 on WikiText-2; "
            "AWD-LSTM: no limit)",
        },
    )
    bptt_multiple: int = field(
        default=1,
        metadata={
            "range": at_least(1),
            "help": "with --bptt-variation, round window lengths to a multiple of this number of tokens, at "
            "least 1; --cuda-graphs records a graph for each length, and 8 leaves about 10 different "
            "lengths instead of about 70 (AWD-LSTM: 1)",
        },
    )
    autocast: ChoiceEnum(["none", "bf16"]) = field(
        default="none",
        metadata={
            "help": "bf16: compute matrix products in bfloat16 during training; weights, losses and "
            "recurrences (for an LSTM, the whole layer) stay in float32, as does validation"
        },
    )
    float32_matmul: ChoiceEnum(list(CHOICES)) = field(
        default="auto",
        metadata={
            "help": "precision of float32 matrix products (torch.set_float32_matmul_precision) and of "
            "cuDNN's LSTMs; high and medium are TF32 on a GPU; auto: medium on a CPU, if a test at startup "
            "shows that oneDNN is then as accurate as float32, else highest"
        },
    )
    cuda_graphs: bool = field(
        default=False,
        metadata={
            "help": "replay training steps as CUDA graphs, one for each window length; needs one GPU, "
            "continuous text, and --output-layer softmax or mos (measured on an H100: 112 updates/s of "
            "qrnn_ptb in bf16 instead of 49)"
        },
    )
    accept_changes: bool = field(
        default=False,
        metadata={
            "help": "resume a training run even if its options, such as --lr or --dropout, differ from those "
            "in the checkpoint; by default this is refused"
        },
    )
    cpu: bool = II("common.cpu")
    fp16: bool = II("common.fp16")
    update_freq: List[int] = II("optimization.update_freq")
    train_subset: str = II("dataset.train_subset")
    valid_subset: str = II("dataset.valid_subset")
    batch_size_valid: Optional[int] = II("dataset.batch_size_valid")
    dataset_impl: Optional[ChoiceEnum(get_available_dataset_impl())] = II("dataset.dataset_impl")
    seed: int = II("common.seed")
    amp: bool = II("common.amp")
    tpu: bool = II("common.tpu")
    stop_time_hours: float = II("optimization.stop_time_hours")
    use_bmuf: bool = II("optimization.use_bmuf")
    max_valid_steps: Optional[int] = II("dataset.max_valid_steps")
    disable_validation: bool = II("dataset.disable_validation")
    best_checkpoint_metric: str = II("checkpoint.best_checkpoint_metric")
    maximize_best_checkpoint_metric: bool = II("checkpoint.maximize_best_checkpoint_metric")
    validate_interval: int = II("dataset.validate_interval")
    validate_interval_updates: int = II("dataset.validate_interval_updates")
    save_interval_updates: int = II("checkpoint.save_interval_updates")
    patience: int = II("checkpoint.patience")
    no_save_optimizer_state: bool = II("checkpoint.no_save_optimizer_state")
    no_save: bool = II("checkpoint.no_save")
    no_last_checkpoints: bool = II("checkpoint.no_last_checkpoints")
    save_dir: str = II("checkpoint.save_dir")
    checkpoint_suffix: str = II("checkpoint.checkpoint_suffix")
    restore_file: str = II("checkpoint.restore_file")
    finetune_from_model: Optional[str] = II("checkpoint.finetune_from_model")
    continue_once: Optional[str] = II("checkpoint.continue_once")
    optimizer_overrides: str = II("checkpoint.optimizer_overrides")
    reset_optimizer: bool = II("checkpoint.reset_optimizer")
    reset_lr_scheduler: bool = II("checkpoint.reset_lr_scheduler")
    reset_meters: bool = II("checkpoint.reset_meters")
    reset_dataloader: bool = II("checkpoint.reset_dataloader")
    store_ema: bool = II("ema.store_ema")
