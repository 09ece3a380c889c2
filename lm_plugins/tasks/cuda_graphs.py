"""Replay a training step as a CUDA graph: one launch in place of some 300.

The host bounds the step of a small model. On an H100 the kernels of the QRNN step take 3.5 ms, and launching
them one by one takes 20 ms. Forward and backward pass are recorded when a window length occurs for the second
time. The first time runs as usual, which compiles every kernel. The tokens, the number of targets and the
carried state are copied into the inputs of the graph. Any other number that the criterion reads from the
batch keeps the value of the recorded window. A replay draws its dropout masks from PyTorch's generator as it
stands at that moment, so each window has different masks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lm_plugins.errors import Refused
from lm_plugins.models.carried_state import stream_name
from lm_plugins.models.nested_state import map_tensors, tensors_of
from lm_plugins.modules.mixture_of_softmaxes import MixtureOfSoftmaxes
from lm_plugins.modules.softmax import Softmax
from lm_plugins.ranks import rank_and_world

Outputs = tuple[Tensor, dict[str, Any], Any, tuple[Tensor | None, ...]]  # loss, logging, state, gradients
FREE = 0.1  # share of the GPU's memory that graphs leave free
Record = Callable[[Callable[[], Outputs], Any], tuple[Outputs, Callable[[], None]]]


def check_graphs(
    decoder: nn.Module, criterion: nn.Module, update_freq: int, fp16: bool, on_cpu: bool
) -> None:
    """Refuse a run whose steps wait for the host or differ in more than the length of the window."""
    reasons = {
        "needs a GPU": on_cpu,
        "supports one process only (--distributed-world-size 1)": rank_and_world()[1] > 1,
        "supports --update-freq 1 only": update_freq != 1,
        "supports float32 and --autocast bf16, not --fp16": fp16,
        "supports continuous text only, not --sample-break-mode eos": decoder.independent_sentences,
        "supports the output layers softmax and mos only": not isinstance(
            decoder.output_head, (Softmax, MixtureOfSoftmaxes)
        ),
        "supports the exact loss only, not --criterion nce": criterion.training_loss is not None,
    }
    for reason, applies in reasons.items():
        if applies:
            raise Refused(f"--cuda-graphs {reason}: change that, or leave it out")


def record_cuda(run: Callable[[], Outputs], pool: Any) -> tuple[Outputs, Callable[[], None]]:
    """Return the outputs of `run`, which every replay overwrites, and the function that replays it."""
    graph = torch.cuda.CUDAGraph()
    # Calls of another thread must not invalidate it.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        outputs = run()
    return outputs, graph.replay


def gpu_has_room() -> bool:
    """Return whether a tenth of the GPU's memory is free, so that one more graph does not exhaust it."""
    free, total = torch.cuda.mem_get_info()
    return free > FREE * total


class FixedState:
    """Stand in for :class:`CarriedState` while a graph is recorded: the state is one of its inputs."""

    def __init__(self, state: Any) -> None:
        self.entry, self.exit = state, None

    def enter(self, stream: str, step: int, tokens: Tensor) -> Any:
        return self.entry

    def leave(self, stream: str, step: int, state: Any, keep: bool) -> None:
        self.exit = map_tensors(Tensor.detach, state)  # as CarriedState does


class GraphedSteps:
    """Compute the gradients of windows by graphs, one for each shape of the window, and one with pads.

    Args:
        record: turns a function and a memory pool into its outputs and the function that replays it
        has_room: returns whether there is memory for one more graph; without it a window runs as usual
    """

    def __init__(self, record: Record = record_cuda, has_room: Callable[[], bool] = gpu_has_room) -> None:
        self.record, self.has_room = record, has_room
        self.seen: set[tuple[int, ...]] = set()
        self.graphs: dict[tuple[int, ...], Graph] = {}
        self.pool = None

    def step(self, model: nn.Module, criterion: nn.Module, sample: dict[str, Any]) -> tuple | None:
        """Set the gradients of `model` for one window.

        Returns:
            (loss, sample size, logging output) as a criterion does; None if the window must run as usual,
            because it is the first of its stream or of its length, or for lack of memory
        """
        window = sample["net_input"]
        source, target, step = window["src_tokens"], window["target"], window["step"]  # [B, T] each
        shape, carried = (*source.shape, sample["full"]), model.decoder.carried
        stream = stream_name(window["stream"], True)
        state = carried.enter(stream, step, source.t())
        if state is None or shape not in self.seen:
            self.seen.add(shape)
            return None
        if shape not in self.graphs:
            if not self.has_room():
                return None
            if self.pool is None and source.is_cuda:
                self.pool = torch.cuda.graph_pool_handle()
            self.graphs[shape] = Graph(self.record, self.pool, model, criterion, sample, state)
        loss, logged, new_state = self.graphs[shape].replay(source, target, sample["ntokens"], state)
        carried.leave(stream, step, new_state, keep=True)
        logged["ntokens"] = logged["sample_size"] = sample["ntokens"]
        return loss, sample["ntokens"], logged


class Graph:
    """One recorded step: inputs and outputs keep their memory from replay to replay."""

    def __init__(
        self,
        record: Record,
        pool: Any,
        model: nn.Module,
        criterion: nn.Module,
        sample: dict[str, Any],
        state: Any,
    ) -> None:
        self.source = sample["net_input"]["src_tokens"].clone()
        self.target = sample["net_input"]["target"].clone()
        self.ntokens = torch.tensor(sample["ntokens"], device=self.target.device)  # fewer where a stream ends
        self.state = map_tensors(Tensor.clone, state)
        self.params = [p for p in model.parameters() if p.requires_grad]
        window = {**sample["net_input"], "src_tokens": self.source, "target": self.target}
        window["host_target"] = None
        inputs = {**sample, "net_input": window, "target": self.target, "ntokens": self.ntokens}
        decoder, fixed = model.decoder, FixedState(self.state)

        def run() -> Outputs:
            carried, decoder.carried = decoder.carried, fixed
            try:
                loss, _, logged = criterion(model, inputs)
            finally:
                decoder.carried = carried
            gradients = torch.autograd.grad(loss, self.params, allow_unused=True)
            return loss.detach(), logged, fixed.exit, as_accumulated(self.params, gradients)

        self.outputs, self.run = record(run, pool)

    def replay(
        self, source: Tensor, target: Tensor, ntokens: int, state: Any
    ) -> tuple[Tensor, dict[str, Any], Any]:
        """Return loss, logging output and new state of a window; set the gradients of the parameters."""
        self.source.copy_(source)
        self.target.copy_(target)
        self.ntokens.fill_(ntokens)
        torch._foreach_copy_(list(tensors_of(self.state)), list(tensors_of(state)))
        self.run()
        loss, logged, new_state, gradients = self.outputs
        for p, gradient in zip(self.params, gradients, strict=True):
            p.grad = gradient
        return loss, dict(logged), map_tensors(Tensor.clone, new_state)


def as_accumulated(params: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return `gradients` as ``backward`` would: each in its own memory, with the strides of its parameter.

    autograd.grad returns one tensor for both terms of a sum, such as the two biases of a layer. An optimizer
    scales and clips the gradients in place, and would do so twice with that tensor.
    """
    addresses, separate = set(), []
    for p, gradient in zip(params, gradients, strict=True):
        if gradient is not None and not gradient.is_sparse:
            if gradient.data_ptr() in addresses or gradient.stride() != p.stride():
                gradient = torch.empty_like(p).copy_(gradient)
            addresses.add(gradient.data_ptr())
        separate.append(gradient)
    return tuple(separate)
