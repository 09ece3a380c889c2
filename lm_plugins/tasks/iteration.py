"""The windows that a program reads, and the updates that training makes with them."""

from collections.abc import Callable
from typing import Any, Optional

from fairseq.criterions import FairseqCriterion
from fairseq.data.iterators import EpochBatchIterator
from fairseq.models import BaseFairseqModel
from fairseq.optim import FairseqOptimizer

from lm_plugins.data.independent_windows import IndependentWindows, shuffled_windows
from lm_plugins.data.layout import Layout
from lm_plugins.data.prompts import Prompts
from lm_plugins.data.stream_iterator import StreamIterator
from lm_plugins.data.stream_windows import StreamWindows
from lm_plugins.data.streams import Streams, contiguous, rotated, sentences
from lm_plugins.data.token_stream import TokenStream
from lm_plugins.errors import Refused
from lm_plugins.evaluation.options import refuse_flags
from lm_plugins.host_values import start_copy
from lm_plugins.out_of_memory import naming_window
from lm_plugins.ranks import rank_and_world
from lm_plugins.tasks.cuda_graphs import GraphedSteps
from lm_plugins.tasks.option_checks import check_window_options
from lm_plugins.tasks.same_on_all_ranks import check_same_text


class IterationMixin:
    """Cut a corpus into windows, and train on them.

    For a task with a `cfg`, a `decoder`, a `dictionary` and `folders`.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.graphs = GraphedSteps() if self.cfg.cuda_graphs else None
        self.window_lengths: list[int] = []  # of the windows whose gradients are accumulated
        self.ends_epoch = False  # the last window was the last one of its epoch

    def get_batch_iterator(
        self,
        dataset: TokenStream | Prompts,
        max_sentences: Optional[int] = None,
        epoch: int = 1,
        skip_remainder_batch: bool = False,
        **kwargs: Any,
    ) -> EpochBatchIterator:
        """Return the windows of `dataset`; to generate, its lines as prompts.

        Args:
            max_sentences: streams of each rank, B; in evaluation 1 by default

        Raises:
            Refused: options that would drop or miscount targets, or a corpus that is too small.
        """
        self.set_matmul_precision()
        refuse_flags(self.cfg)
        if self.generates and isinstance(dataset, TokenStream):
            dataset = Prompts.of_corpus(dataset, self.dictionary.pad(), self.dictionary.eos())
        if isinstance(dataset, Prompts):
            return self.prompt_iterator(dataset, max_sentences=max_sentences, **kwargs)
        if skip_remainder_batch:
            raise Refused("--skip-remainder-batch would drop the last windows of the corpus: leave it out")
        training = dataset.split == self.cfg.train_subset
        if max_sentences is None and training:
            raise Refused(
                "--batch-size is missing: give the number of parallel streams per process, which "
                "--max-tokens cannot replace"
            )
        own, (rank, world) = max_sentences or 1, rank_and_world()
        count, size = own * world, self.cfg.tokens_per_sample
        if training and len(dataset) < count * size:
            raise Refused(
                f"the subset '{dataset.split}' has {len(dataset):,} tokens, less than one window of "
                f"{size} tokens for each of {count} streams: lower --batch-size or "
                "--tokens-per-sample"
            )
        draws = self.random_draws() if training else {}
        streams = self.streams(dataset, count, draws)
        windows = self.stream_windows(dataset, streams, range(rank * own, (rank + 1) * own))
        check_same_text(dataset.split, windows.fingerprint())
        return StreamIterator(
            windows,
            Layout(**windows.fingerprint(), window=size, **draws),
            epoch,
            folders_take_turns=training and len(self.folders) > 1,
            update_freq=self.cfg.update_freq[: max(epoch, 1)][-1] if training else 1,
        )

    def prompt_iterator(self, prompts: Prompts, **kwargs: Any) -> EpochBatchIterator:
        if kwargs.get("num_shards", 1) > 1:
            raise Refused(
                f"fairseq-generate in {kwargs['num_shards']} processes would read only part of the "
                "lines: leave out --distributed-world-size"
            )
        # fairseq's default of 8 would drop the last prompts of a batch.
        kwargs["required_batch_size_multiple"] = 1
        kwargs["num_workers"] = kwargs["data_buffer_size"] = 0  # as in StreamIterator
        if kwargs.get("max_tokens"):  # a longer line is a batch by itself
            kwargs["max_tokens"] = max(kwargs["max_tokens"], int(prompts.sizes.max(initial=0)))
        return super().get_batch_iterator(prompts, **kwargs)

    def random_draws(self) -> dict[str, Any]:
        """Return the facts of a Layout that make the epochs of training differ."""
        cfg, draws, independent = self.cfg, {}, self.decoder.independent_sentences
        check_window_options(cfg, independent)
        if independent:
            draws["sentences"] = cfg.seed
        if cfg.rotate_streams:
            draws["rotation"] = cfg.seed
        if cfg.independent_windows:
            draws["order"] = cfg.seed
        if cfg.bptt_variation:
            draws |= {"variation": [cfg.bptt_variation, cfg.bptt_max_delta], "seed": cfg.seed}
            draws["multiple"] = cfg.bptt_multiple
        elif cfg.random_start:
            draws |= {"random_start": True, "seed": cfg.seed}
        return draws

    def streams(
        self, corpus: TokenStream, count: int, draws: dict[str, Any]
    ) -> Callable[[int], Streams | IndependentWindows]:
        if self.decoder.independent_sentences:
            return sentences(corpus, count, draws.get("sentences"))
        if "rotation" in draws:
            return rotated(corpus, count, draws["rotation"])
        if "order" in draws:
            moved = draws.get("random_start", False)
            return shuffled_windows(corpus, count, self.cfg.tokens_per_sample, draws["order"], moved)
        return contiguous(corpus, count)

    def stream_windows(
        self, corpus: TokenStream, streams: Callable[[int], Streams | IndependentWindows], own: range
    ) -> StreamWindows:
        symbols = self.dictionary.pad(), self.dictionary.eos()
        return StreamWindows(corpus, streams, own, *symbols, independent=self.cfg.independent_windows)

    def train_step(
        self,
        sample: dict[str, Any],
        model: BaseFairseqModel,
        criterion: FairseqCriterion,
        optimizer: FairseqOptimizer,
        update_num: int,
        ignore_grad: bool = False,
    ) -> tuple[Any, Any, Any]:
        # When float16 overflows, fairseq starts the update again without calling a hook.
        # Only the gradients, which it then clears, tell whether windows before this one count.
        if all(p.grad is None for p in model.parameters()):
            self.window_lengths = []
        self.window_lengths.append(sample["target"].size(1))
        self.ends_epoch = sample.get("ends_epoch", False)  # a sample made by hand does not have it
        with naming_window(sample["target"], "--batch-size, --tokens-per-sample or --bptt-max-delta"):
            if self.graphs is not None and not ignore_grad:
                model.set_num_updates(update_num)
                replayed = self.graphs.step(model, criterion, sample)
                if replayed is not None:
                    loss, size, log = replayed
                    return loss, size, self.copied(log)
            loss, size, log = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
            return loss, size, self.copied(log)

    def copied(self, log: dict[str, Any]) -> dict[str, Any]:
        """Start to copy the values of `log` to the host; several processes sum theirs on the GPUs instead."""
        return log if rank_and_world()[1] > 1 else start_copy(log)

    def optimizer_step(self, optimizer: FairseqOptimizer, model: BaseFairseqModel, update_num: int) -> None:
        """Make an update. With --bptt-variation its learning rate is lr * mean length / base length."""
        rates = [group["lr"] for group in optimizer.param_groups]
        if self.cfg.bptt_variation:
            mean = sum(self.window_lengths) / len(self.window_lengths)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * mean / self.cfg.tokens_per_sample
        super().optimizer_step(optimizer, model, update_num)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
