"""Language modelling over streams whose recurrent state is carried from window to window."""

import math
import os
import sys
from dataclasses import dataclass, field
from typing import List, Optional

import torch
from fairseq import utils
from fairseq.data.indexed_dataset import get_available_dataset_impl
from fairseq.dataclass import ChoiceEnum
from fairseq.logging import meters, metrics
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II

from lm_plugins.command_line import program_name
from lm_plugins.data.dictionary import is_character_level, load_dictionary
from lm_plugins.data.prompts import Prompts
from lm_plugins.data.stream_iterator import StreamIterator
from lm_plugins.data.stream_windows import StreamWindows
from lm_plugins.data.streams import contiguous, rotated, sentences
from lm_plugins.data.token_stream import load_token_stream
from lm_plugins.data.windows import cut, fixed, random_start, varied
from lm_plugins.errors import Refused
from lm_plugins.evaluation.evaluator import EvaluationConfig, refuse_flags
from lm_plugins.matmul_precision import CHOICES, set_matmul_precision
from lm_plugins.models.carried_state import stream_name
from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.optim.averages import is_averaging, show_average, show_iterate
from lm_plugins.optim.validation import tell_validation
from lm_plugins.ranks import rank_and_world
from lm_plugins.tasks import large_tables
from lm_plugins.tasks.cuda_graphs import GraphedSteps
from lm_plugins.tasks.evaluates import Evaluates
from lm_plugins.tasks.generates import Generates
from lm_plugins.tasks.peak_memory import PeakMemory
from lm_plugins.tasks.rank_states import all_ranks, before_each_save


@dataclass
class RecurrentLanguageModelingConfig(EvaluationConfig):
    data: Optional[str] = field(
        default=None,
        metadata={
            "help": "data folder written by fairseq-preprocess --destdir; of several folders, separated by "
            "colons, each epoch trains on the next one, and validation uses the first one"
        },
    )
    tokens_per_sample: int = field(
        default=70,
        metadata={
            "help": "length of the windows of truncated back-propagation through time, in tokens, at least "
            "1 (awd-lstm-lm: bptt, 70); does not change the perplexity in evaluation, except in dynamic "
            "evaluation"
        },
    )
    random_start: bool = field(
        default=False,
        metadata={
            "help": "draw the length of each epoch's first window uniformly from 1 to --tokens-per-sample, "
            "so that window boundaries differ between epochs (OpenSeq2Seq)"
        },
    )
    regime: ChoiceEnum(["published", "short"]) = field(
        default="published",
        metadata={
            "help": "training flags that are added for the architecture; published: the published ones; "
            "short: those of a short training of 60 epochs, for qrnn_ptb only (published: 550 epochs)"
        },
    )
    rotate_streams: bool = field(
        default=False,
        metadata={
            "help": "start each stream of the training text at a new position in every epoch, drawn "
            "uniformly (partial shuffle, Press 2019, arXiv:1903.04167: lowers the validation perplexity on "
            "PTB by 0.4 to 0.5)"
        },
    )
    bptt_variation: float = field(
        default=0.0,
        metadata={
            "help": "standard deviation of the training window lengths, in tokens: lengths are drawn from a "
            "normal distribution around --tokens-per-sample, or with probability 0.05 around half of it, "
            "and the learning rate is scaled with the length; 0: fixed length (AWD-LSTM: 5)"
        },
    )
    bptt_max_delta: int = field(
        default=20,
        metadata={
            "help": "with --bptt-variation, maximum number of tokens by which a window may exceed "
            "--tokens-per-sample (mos: max_seq_len_delta, 40 on PTB and 20 on WikiText-2; AWD-LSTM: no "
            "limit)"
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
            "help": "precision of float32 matrix products (torch.set_float32_matmul_precision); auto: "
            "medium on a CPU, if a test at startup shows that oneDNN is then as accurate as float32, else "
            "highest"
        },
    )
    cuda_graphs: bool = field(
        default=False,
        metadata={
            "help": "replay training steps as CUDA graphs, one for each window length; one GPU, continuous text, "
            "softmax or mos (measured on an H100: 112 updates/s of qrnn_ptb in bf16 instead of 49)"
        },
    )
    cpu: bool = II("common.cpu")
    fp16: bool = II("common.fp16")
    update_freq: List[int] = II("optimization.update_freq")
    train_subset: str = II("dataset.train_subset")
    dataset_impl: Optional[ChoiceEnum(get_available_dataset_impl())] = II("dataset.dataset_impl")
    seed: int = II("common.seed")
    amp: bool = II("common.amp")
    tpu: bool = II("common.tpu")
    max_valid_steps: Optional[int] = II("dataset.max_valid_steps")


# fairseq's options that would train or count wrongly here, and why.
REFUSED = {
    "amp": "--amp would unscale every gradient twice with fairseq's optimizers: use --fp16 or --autocast "
    "bf16",
    "tpu": "--bf16 and --tpu require torch_xla, which this task does not support: use --autocast bf16",
}


@register_task("recurrent_language_modeling", dataclass=RecurrentLanguageModelingConfig)
class RecurrentLanguageModelingTask(Evaluates, Generates, FairseqTask):
    """Trains and evaluates a recurrent language model on contiguous streams.

    ``--batch-size`` is the number of streams of each process (rank), ``--tokens-per-sample`` the
    length of a window. Every token of a subset is a target exactly once. The state of all ranks is
    saved in the checkpoint, so that a run goes on exactly where it was saved.
    """

    def __init__(self, cfg, dictionary):
        super().__init__(cfg)
        self.dictionary = dictionary
        self.character_level = is_character_level(dictionary)  # reads all of it: once, not at every update
        self.peak = PeakMemory()
        self.graphs = GraphedSteps() if cfg.cuda_graphs else None
        self.decoder = None
        self.rank_states = None
        self.optimizer = None  # as of the last training step
        self.update_lengths = []  # of the windows of the present update
        self.validated = 0  # subsets, in the present validation

    @classmethod
    def setup_task(cls, cfg, **kwargs):
        for name, why in REFUSED.items():
            if getattr(cfg, name):
                raise Refused(why)
        if cfg.tokens_per_sample < 1:
            raise Refused(f"--tokens-per-sample is {cfg.tokens_per_sample}: it must be at least 1")
        if cfg.bptt_variation and cfg.random_start:
            raise Refused(
                "--bptt-variation and --random-start both move the window boundaries: give --bptt-variation "
                "0, or leave out --random-start"
            )
        if cfg.bptt_max_delta < 0 or cfg.bptt_variation < 0:
            raise Refused(
                "--bptt-variation and --bptt-max-delta are numbers of tokens and must be at least 0"
            )
        if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not torch.distributed.is_initialized():
            raise Refused(
                f"{os.environ['WORLD_SIZE']} processes were started but are not connected, so each would "
                "work alone: train with torchrun and --user-dir, evaluate with one process"
            )
        return cls(cfg, load_dictionary(cfg.data))

    @property
    def source_dictionary(self):
        return self.dictionary

    @property
    def target_dictionary(self):
        return self.dictionary

    def build_model(self, cfg, from_checkpoint=False):
        if not from_checkpoint and self.cfg.max_valid_steps is not None:
            raise Refused(
                "--max-valid-steps would report the perplexity of part of the validation data as that of all "
                "of it, and select checkpoint_best.pt by it: leave it out"
            )
        model = super().build_model(cfg, from_checkpoint)
        self.decoder = getattr(model, "decoder", None)
        if not isinstance(self.decoder, RecurrentDecoder):
            raise Refused(
                f"the model {type(model).__name__} carries no recurrent state: use an architecture of "
                "lm_plugins, such as --arch awd_lstm_ptb, or --task language_modeling for other models"
            )
        large_tables.keep_from_averaging(model)
        on_cpu = self.cfg.cpu or not torch.cuda.is_available()
        set_matmul_precision(str(self.cfg.float32_matmul), on_cpu)
        self.decoder.autocast = {"none": None, "bf16": torch.bfloat16}[str(self.cfg.autocast)]
        return model

    def build_criterion(self, cfg, from_checkpoint=False):
        criterion = super().build_criterion(cfg, from_checkpoint)
        if not type(criterion).__module__.startswith("lm_plugins."):
            raise Refused(
                f"the criterion {type(criterion).__name__} does not support the output layers of "
                "lm_plugins: use --criterion lm_cross_entropy"
            )
        head = self.decoder.output_head
        if not isinstance(head, criterion.output_layer):
            raise Refused(
                f"--criterion {cfg._name} needs a model whose output layer is "
                f"{criterion.output_layer.__name__}, but this model has {type(head).__name__}: give the "
                "matching --output-layer, or use --criterion lm_cross_entropy, which supports all of them"
            )
        if getattr(head, "normaliser", "fixed") != "fixed" and not criterion.takes_normaliser:
            raise Refused(
                f"--nce-z {head.normaliser} applies only to --criterion nce with --nce-loss nce: leave it out"
            )
        if self.graphs is not None and not from_checkpoint:
            on_cpu = self.cfg.cpu or not torch.cuda.is_available()
            check_graphs(self.decoder, criterion, max(self.cfg.update_freq), self.cfg.fp16, on_cpu)
        return criterion

    @property
    def folders(self):
        return utils.split_paths(self.cfg.data)

    def training_counts(self):
        """Occurrences of each symbol in the training data, [V]; dict.txt has none of </s> and <unk>."""
        split, size = self.cfg.train_subset, len(self.dictionary)
        loaded = self.dataset(split)  # of several folders one
        return sum(
            (loaded if loaded.folder == folder else self.read(folder, split, combine=True)).counts(size)
            for folder in self.folders
        )

    def load_dataset(self, split, epoch=1, combine=False, **kwargs):
        """Of several data folders, an epoch of training takes the next one.

        For fairseq-generate the lines of a subset are prompts.
        """
        number = (epoch - 1) % len(self.folders) if split == self.cfg.train_subset else 0
        corpus = self.read(self.folders[number], split, combine)
        if program_name(sys.argv[0]) == "generate":
            corpus = Prompts.of_corpus(corpus, self.dictionary.pad(), self.dictionary.eos())
        self.datasets[split] = corpus

    def read(self, folder, split, combine):
        return load_token_stream(folder, split, self.dictionary, self.cfg.dataset_impl, combine)

    def get_batch_iterator(
        self,
        dataset,
        max_sentences=None,
        epoch=1,
        num_workers=0,
        data_buffer_size=0,
        skip_remainder_batch=False,
        **kwargs,
    ):
        """The windows of `dataset` in `max_sentences` streams a rank (in evaluation 1 by default)."""
        refuse_flags(self.cfg)
        if isinstance(dataset, Prompts):
            if kwargs.get("num_shards", 1) > 1:
                raise Refused(
                    f"fairseq-generate in {kwargs['num_shards']} processes would read only part of the "
                    "lines: leave out --distributed-world-size"
                )
            kwargs["required_batch_size_multiple"] = (
                1  # with 8 and 7 prompts a batch fairseq drops the last ones
            )
            if kwargs.get("max_tokens"):  # a longer line is a batch of its own
                kwargs["max_tokens"] = max(kwargs["max_tokens"], int(dataset.sizes.max(initial=0)))
            return super().get_batch_iterator(dataset, max_sentences=max_sentences, **kwargs)
        if skip_remainder_batch:
            raise Refused("--skip-remainder-batch would drop the last windows of the corpus: leave it out")
        training = dataset.split == self.cfg.train_subset
        if max_sentences is None and training:
            raise Refused(
                "--batch-size is missing: give the number of parallel streams per process, which "
                "--max-tokens cannot replace"
            )
        rows, size = max_sentences or 1, self.cfg.tokens_per_sample
        rank, world = rank_and_world()
        streams = rows * world
        if training and len(dataset) < streams * size:
            raise Refused(
                f"the subset '{dataset.split}' has {len(dataset):,} tokens, less than one window of "
                f"{size} tokens for each of {streams} streams: lower --batch-size or "
                "--tokens-per-sample"
            )
        independent = self.decoder.independent_sentences
        seed = self.cfg.seed if independent and training else None
        rotation = self.cfg.seed if self.cfg.rotate_streams and training else None
        if independent:
            if rotation is not None:
                raise Refused(
                    "--rotate-streams applies only to continuous text: independent sentences "
                    "(--sample-break-mode eos) are shuffled in every epoch anyway; leave it out"
                )
            layout = sentences(dataset, streams, seed)
        elif rotation is not None:
            layout = rotated(dataset, streams, rotation)
        else:
            layout = contiguous(dataset, streams)
        windows = self.stream_windows(dataset, layout, range(rank * rows, (rank + 1) * rows))
        lengths_of, drawn = self.window_lengths(training)

        def windows_of(epoch):
            length = windows.streams(epoch).length
            return cut(length, lengths_of(length, epoch), epoch)

        return StreamIterator(
            windows,
            windows_of,
            {
                **windows.fingerprint(),
                "window": size,
                "order of sentences": seed,
                "rotation of streams": rotation,
                **drawn,
            },
            epoch,
            folders_take_turns=training and len(self.folders) > 1,
            num_workers=num_workers if training else 0,
            buffer_size=data_buffer_size if training else 0,
        )

    def stream_windows(self, dataset, streams, rows):
        return StreamWindows(dataset, streams, rows, self.dictionary.pad(), self.dictionary.eos())

    def window_lengths(self, training):
        """(function from the stream length and the epoch to window lengths, what else determines them)."""
        size, seed = self.cfg.tokens_per_sample, self.cfg.seed
        if training and self.cfg.bptt_variation:
            spread = (self.cfg.bptt_variation, self.cfg.bptt_max_delta)
            return (
                lambda length, epoch: varied(length, size, *spread, seed, epoch),
                {"window variation": list(spread), "seed": seed},
            )
        if training and self.cfg.random_start:
            return lambda _, epoch: random_start(size, seed, epoch), {"random start": True, "seed": seed}
        return lambda *_: fixed(size), {"random start": False, "window variation": None}

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        self.optimizer = optimizer
        show_iterate(optimizer)
        before_each_save(optimizer, self.gather_states)
        if all(p.grad is None for p in model.parameters()):  # the first window of an update
            self.update_lengths = []
        self.update_lengths.append(sample["target"].size(1))
        large_tables.check_takes(optimizer, self.decoder.embed_tokens)
        large_tables.release(self.decoder.embed_tokens)
        if self.graphs is not None and not ignore_grad:
            model.set_num_updates(update_num)
            result = self.graphs.step(model, criterion, sample)
            if result is not None:
                return result
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def optimizer_step(self, optimizer, model, update_num):
        """With --bptt-variation the learning rate of this step is scaled by mean length / base."""
        rates = [group["lr"] for group in optimizer.param_groups]
        if self.cfg.bptt_variation:
            mean = sum(self.update_lengths) / len(self.update_lengths)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * mean / self.cfg.tokens_per_sample
        super().optimizer_step(optimizer, model, update_num)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self.peak.update()

    def begin_valid_epoch(self, epoch, model):
        self.validated = 0
        show_average(self.optimizer)

    def post_validate(self, model, stats, agg):
        """Before the checkpoint is saved: refuses a loss that is no number, and passes it on."""
        loss = float(agg["loss"].avg)
        if not math.isfinite(loss):
            raise Refused(
                f"the validation loss is {loss}: training has diverged, and no checkpoint was written after "
                "this validation; lower --lr or --clip-norm"
            )
        if self.validated == 0:
            tell_validation(self.optimizer, loss)
        self.validated += 1

    def reduce_metrics(self, logging_outputs, criterion):
        super().reduce_metrics(logging_outputs, criterion)
        metrics.log_scalar("peak_gib", self.peak.update(), weight=0, round=3)
        averaging = is_averaging(self.optimizer)
        if averaging is not None:
            metrics.log_scalar("averaging", int(averaging), weight=0)
        exact = "nll_loss" in logging_outputs[0]
        if exact and self.character_level:
            metrics.log_derived("bpc", lambda m: meters.safe_round(m["nll_loss"].avg, 5))

    def gather_states(self):
        self.rank_states = all_ranks(self.training_state())
        show_average(self.optimizer)
        large_tables.gather(self.optimizer, self.decoder.embed_tokens)

    def training_state(self):
        return self.decoder.carried.state_dict(stream_name(self.cfg.train_subset, True))

    def get_checkpoint_dict(self):
        """The carried state of every rank, saved beside the position in the epoch.

        Called before each checkpoint on the rank that writes it: the place to show the average.
        """
        show_average(self.optimizer)
        if rank_and_world()[1] == 1:
            states = [self.training_state()]
        else:  # gathered by all ranks; this method runs on the first alone
            states, self.rank_states = self.rank_states, None
        return {type(self).__name__: {"rank_states": states}} if states else {}

    def set_checkpoint_dict(self, saved):
        state = saved["rank_states"][rank_and_world()[0]]
        self.decoder.carried.load_state_dict(stream_name(self.cfg.train_subset, True), state)
