"""fairseq's epoch iterator over stream windows, which resumes on the same layout or not at all."""

from fairseq.data.iterators import EpochBatchIterator

from lm_plugins.errors import Refused

FLAGS = {
    "corpus": "the data",
    "tokens": "the data",
    "streams of all ranks": "--batch-size or the number of processes",
    "streams of a rank": "--batch-size or the number of processes",
    "window": "--tokens-per-sample",
    "random start": "--random-start",
    "window variation": "--bptt-variation and --bptt-max-delta",
    "rotation of streams": "--seed and --rotate-streams",
    "order of sentences": "--seed and --sample-break-mode",
    "seed": "--seed",
}

OF_ONE_FOLDER = ("corpus", "tokens")


class StreamIterator(EpochBatchIterator):
    """Iterates over `windows_of(epoch)` in order.

    Every rank has its own rows of the streams, hence the same windows: fairseq's sharding, shuffling
    and dummy batches play no part. The position in an epoch means nothing on another layout, so the
    layout is saved beside it and compared on resume.

    Args:
        dataset (StreamWindows): the batches
        windows_of: function from the epoch (1, 2, ...) to its list of windows
        layout: plain dict that determines the windows and the rows
        folders_take_turns: the next epoch reads another data folder
    """

    def __init__(
        self, dataset, windows_of, layout, epoch, folders_take_turns=False, num_workers=0, buffer_size=0
    ):
        super().__init__(
            dataset=dataset,
            collate_fn=dataset.collater,
            batch_sampler=lambda _, epoch: [[window] for window in windows_of(epoch)],
            epoch=epoch,
            num_workers=num_workers,
            buffer_size=buffer_size,
            disable_shuffling=True,
            persistent_workers=False,
        )
        self.layout, self.folders_take_turns = layout, folders_take_turns

    def state_dict(self):
        return {**super().state_dict(), "layout": self.layout}

    def load_state_dict(self, state_dict):
        saved = state_dict.get("layout", {})
        next_folder = self.folders_take_turns and state_dict["iterations_in_epoch"] == 0
        for name, now in self.layout.items():
            if saved.get(name) != now and not (next_folder and name in OF_ONE_FOLDER):
                raise Refused(
                    f"cannot resume: the checkpoint was trained with {name} = {saved.get(name)}, but this "
                    f"run has {now}; use the same {FLAGS[name]}, another --save-dir, or "
                    "--reset-dataloader to start a new epoch"
                )
        super().load_state_dict(state_dict)
