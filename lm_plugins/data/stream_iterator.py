"""fairseq's epoch iterator over stream windows, which resumes on the same layout or not at all."""

from typing import Any

from fairseq.data.iterators import EpochBatchIterator

from lm_plugins.data.layout import Layout
from lm_plugins.data.stream_windows import StreamWindows
from lm_plugins.data.windows import Window
from lm_plugins.errors import Refused


class StreamIterator(EpochBatchIterator):
    """Iterate over the windows of `layout` in order.

    Each rank reads its own streams, so all ranks have the same windows. fairseq's sharding, shuffling
    and dummy batches are not used. A position in an epoch means nothing on another layout, so the
    layout is saved with it and compared on resume.

    There are no loader workers: cutting a window out of memory takes less time than passing it between
    processes. A signal that ends a process group, as from Slurm or ``timeout``, would also end them, and then
    torch raises an error in the training that is about to save.

    Args:
        dataset: the batches
        layout: the facts that determine the windows and the streams
        folders_take_turns: the next epoch reads another data folder
        update_freq: number of windows of an update in this epoch
    """

    def __init__(
        self,
        dataset: StreamWindows,
        layout: Layout,
        epoch: int,
        folders_take_turns: bool = False,
        update_freq: int = 1,
    ) -> None:
        self.layout, self.folders_take_turns, self.update_freq = layout, folders_take_turns, update_freq
        super().__init__(
            dataset=dataset,
            collate_fn=dataset.collater,
            batch_sampler=self._batches,
            epoch=epoch,
            # fairseq would fill a buffer from a thread that it never joins. If a thread is inside torch when
            # Python exits, the process aborts, and its exit status says that the training failed.
            buffer_size=0,
            disable_shuffling=True,
            persistent_workers=False,
        )

    def _batches(self, dataset: StreamWindows, epoch: int) -> list[list[Window]]:
        length = dataset.streams(epoch).length
        return [[window] for window in self.layout.windows(length, epoch)]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "layout": self.layout.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the saved position.

        Raises:
            Refused: it was saved on another layout, or the rest of the epoch needs one update too many.
        """
        next_folder = self.folders_take_turns and state_dict["iterations_in_epoch"] == 0
        for difference in self.layout.differences(state_dict.get("layout", {}), not next_folder):
            raise Refused(
                f"cannot resume: {difference} or another --save-dir, or give --reset-dataloader, which "
                "begins with epoch 1 again"
            )
        super().load_state_dict(state_dict)
        # fairseq rounds the updates before the position and those after it up, and ends the epoch after as
        # many as a whole one has. It would leave the last windows out, and train the epoch once more.
        read, whole = state_dict["iterations_in_epoch"], len(self)
        before, after, all_updates = (-(-count // self.update_freq) for count in (read, whole - read, whole))
        if before + after > all_updates:
            raise Refused(
                f"cannot resume after window {read} of {whole} of an epoch with --update-freq "
                f"{self.update_freq}: keep the --update-freq of the checkpoint to the end of the epoch"
            )
