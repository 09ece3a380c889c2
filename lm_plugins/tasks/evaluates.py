"""What fairseq-eval-lm asks of the task."""

from lm_plugins.data.stream_iterator import StreamIterator
from lm_plugins.data.streams import contiguous, overlapping, sentences
from lm_plugins.data.text_sizes import text_sizes
from lm_plugins.data.windows import cut, fixed
from lm_plugins.errors import Refused
from lm_plugins.evaluation.dynamic_evaluation import STREAMS
from lm_plugins.evaluation.evaluator import Evaluator
from lm_plugins.tasks.peak_memory import peak_memory


class Evaluates:
    """For a task with a `decoder`, a `dictionary`, `folders`, ``read`` and ``stream_windows``."""

    def eval_lm_dataloader(self, dataset, batch_size=None, num_shards=1, context_window=0, **kwargs):
        if context_window > 0:
            raise Refused(
                "--context-window scores overlapping windows, but the recurrent state already carries "
                "the whole context: leave it out"
            )
        if num_shards > 1:
            raise Refused(
                f"fairseq-eval-lm with {num_shards} shards or processes would print the perplexity of only "
                "one shard: evaluate with one process and without --num-shards"
            )
        self.set_matmul_precision()
        evaluator = Evaluator(self.cfg, self.decoder, dataset.split)
        if batch_size is not None and self.cfg.eval_streams > 1:
            raise Refused(
                "--batch-size and --eval-streams both set the number of streams: give --eval-streams, whose "
                "streams are warmed up, or --batch-size, to reproduce what training logged"
            )
        count = batch_size or self.cfg.eval_streams
        streams = contiguous(dataset, count)
        if self.cfg.eval_streams > 1:
            streams = overlapping(dataset, count, evaluator.warm_up())
        elif self.decoder.independent_sentences:
            streams = sentences(dataset, count)
        return evaluator.windows(
            lambda: self.in_order(self.stream_windows(dataset, streams, range(count))),
            len(dataset),
            self.training_windows,
            self.dictionary.pad(),
            peak_memory,
            text_sizes(self.folders[0], dataset.split, self.dictionary, len(dataset)),
        )

    def training_windows(self):
        """Of the training data, as evaluation reads windows: for the statistics of dynamic evaluation."""
        corpus = self.read(self.folders[0], self.cfg.train_subset, combine=False)
        rows = max(1, min(STREAMS, len(corpus) // self.cfg.tokens_per_sample))
        return self.in_order(self.stream_windows(corpus, contiguous(corpus, rows), range(rows)))

    def in_order(self, windows):
        """Iterates over windows of --tokens-per-sample."""
        cuts = cut(windows.streams(1).length, fixed(self.cfg.tokens_per_sample))
        iterator = StreamIterator(windows, lambda epoch: cuts, windows.fingerprint(), epoch=1)
        return iterator.next_epoch_itr(shuffle=False)
