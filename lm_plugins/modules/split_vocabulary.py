"""Tables over the vocabulary whose rows are dealt out to the processes.

The row of word v is held by process v mod W, as its row v div W, and by no other: frequent words, which
stand first in a dictionary, are spread evenly, and of a model whose tables are most of it each process holds
a W-th. What travels between processes is what one batch needs: the rows that are looked up, or for the whole
softmax the features (as in Megatron-LM, Shoeybi et al. 2019, arXiv:1909.08053). Each process has streams of
its own all the same.
"""

import torch
import torch.distributed as dist

from lm_plugins.ops.exchange import exchange
from lm_plugins.ops.gather_rows import gather_rows
from lm_plugins.ops.linear_logsumexp import linear_logsumexp
from lm_plugins.ops.scale_gradient import scale_gradient
from lm_plugins.ranks import rank_and_world

PIECE = 1 << 14  # rows initialised, or gathered, at a time


class SplitVocabulary:
    """Which rows this process has, and how it comes to the others.

    :meth:`rows`, :meth:`logsumexp` and :meth:`gather` are called by all processes together. A row's gradient
    comes from the losses of all of them; it is the mean, as DistributedDataParallel makes those of others.

    Args:
        vocabulary: V
    """

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary
        self.rank, self.world = rank_and_world()
        self.gathered = {}  # address of a part -> the whole table, while a checkpoint is written

    def own(self, table):
        """The rows of this process, of all V."""
        return table[self.rank :: self.world]

    def uniform(self, width, init_range):
        """Rows of a table [V, width], uniform in +- `init_range`; the table is the same for any W."""
        own, filled = torch.empty(len(range(self.rank, self.vocabulary, self.world)), width), 0
        for start in range(0, self.vocabulary, PIECE):
            piece = torch.empty(min(PIECE, self.vocabulary - start), width).uniform_(-init_range, init_range)
            rows = piece[(self.rank - start) % self.world :: self.world]
            own[filled : filled + len(rows)] = rows
            filled += len(rows)
        return own

    def share(self, module, *names):
        """Makes the parameters `names` of `module`, which hold the own rows, parts of whole tables.

        In a state_dict they are whole, once they were gathered; from one they take their own rows.
        """
        for name in names:
            parameter = getattr(module, name)
            if not hasattr(parameter, "split_vocabulary"):
                parameter.split_vocabulary = self
                parameter.expert = True  # fairseq's and our word for: not to be averaged over processes

        def save(module, state, prefix, _):
            for name in names:
                state[prefix + name] = self.whole(state[prefix + name])

        def load(module, state, prefix, *_):
            for name in names:
                if prefix + name in state:
                    state[prefix + name] = self.own(state[prefix + name])

        module.register_state_dict_post_hook(save)
        module.register_load_state_dict_pre_hook(load)

    def rows(self, part, index, sparse=False):
        """Rows `index` [...] of the table of which this process holds `part`: [..., *]."""
        words = index.flatten()
        owner = words % self.world
        order = owner.argsort(stable=True)
        sent = owner.bincount(minlength=self.world)
        received = exchange(sent, *[[1] * self.world] * 2)
        sent, received = torch.stack([sent, received]).tolist()  # the one wait for the GPU
        asked = exchange(words[order] // self.world, sent, received)
        rows = scale_gradient(gather_rows(part, asked, sparse), 1 / self.world)
        rows = exchange(rows, received, sent)
        return rows[order.argsort()].view(*index.shape, *part.shape[1:])

    def logsumexp(self, features, weight, bias):
        """ln of the sum of exp(W h + b) over all V words, for each row of `features` [N, C]: [N].

        N is the same on all processes, each of which adds up its own words for the features of all.
        """
        equal = [len(features)] * self.world
        everyone = exchange(features.repeat(self.world, 1), equal, equal)
        weight, bias = (scale_gradient(part, 1 / self.world) for part in (weight, bias))
        parts = exchange(linear_logsumexp(everyone, weight, bias), equal, equal)
        return torch.logsumexp(parts.view(self.world, -1), dim=0)

    @torch.no_grad()
    def gather(self, parts):
        """Until :meth:`release`, :meth:`whole` of each of `parts` is the whole table, on the first process.

        It is put together in host memory, by pieces: no GPU holds it.
        """
        self.gathered = {part.data_ptr(): self._gather(part) for part in parts} if self.world > 1 else {}

    def release(self):
        self.gathered = {}

    def whole(self, part):
        return self.gathered.get(part.data_ptr(), part)

    def _gather(self, part):
        table = part.new_empty(self.vocabulary, *part.shape[1:], device="cpu") if self.rank == 0 else None
        for start in range(0, -(-self.vocabulary // self.world), PIECE):
            piece = part.new_zeros(min(PIECE, -(-self.vocabulary // self.world) - start), *part.shape[1:])
            rows = part[start : start + len(piece)]  # the last process may have one less
            piece[: len(rows)] = rows
            pieces = [torch.empty_like(piece) for _ in range(self.world)] if self.rank == 0 else None
            dist.gather(piece, pieces)
            for rank, received in enumerate(pieces or ()):
                into = table[rank :: self.world][start : start + len(piece)]
                into.copy_(received[: len(into)])
        return table
