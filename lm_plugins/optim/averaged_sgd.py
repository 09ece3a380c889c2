"""SGD with the average of its iterates kept beside them."""

import torch

from lm_plugins.errors import Refused
from lm_plugins.optim.large_tables import own_rows


class AveragedSGD(torch.optim.Optimizer):
    r"""Polyak averaging (Polyak and Juditsky 1992) of plain SGD with weight decay.

        w_t   = w_{t-1} - lr_t (g_t + weight_decay w_{t-1})
        avg_n = avg_{n-1} + (w_t - avg_{n-1}) / n

    with lr_t the rate of the present step. The average starts with the first iterate after
    :meth:`start_averaging`, n = 1, so it is the mean of all iterates since. torch.optim.ASGD(t0=0,
    lambd=0), which AWD-LSTM used, leaves that one out, and applies a change of lr one step late.

    The parameters show either the iterate or the average; the other one is kept in `hidden`, so that
    averaging costs one copy of the parameters and nothing before it starts.
    """

    supports_flat_params = True

    def __init__(self, params, lr, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.averaged = None  # number of iterates in the average; None: averaging has not started
        self.hidden = None  # what the parameters do not show, once there is an average
        self.shows_average = False
        self.loaded = False  # the parameters were set by load_state_dict, a copy of them may be stale

    def parameters(self):
        return [p for group in self.param_groups for p in group["params"]]

    def start_averaging(self):
        if self.averaged is None:
            self.averaged = 0

    @torch.no_grad()
    def step(self, closure=None):
        if self.shows_average:
            raise RuntimeError("the parameters hold the average: call show(average=False) before step()")
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            if group["weight_decay"]:
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            dense = [p for p in params if not p.grad.is_sparse]
            if dense:
                torch._foreach_add_(dense, [p.grad for p in dense], alpha=-group["lr"])
            for p in params:
                if p.grad.is_sparse:
                    p.add_(p.grad, alpha=-group["lr"])
        if self.averaged is not None:
            self.averaged += 1
            iterates = [p.data for p in self.parameters()]
            if self.averaged == 1:
                self.hidden = [iterate.clone() for iterate in iterates]
            else:
                torch._foreach_lerp_(self.hidden, iterates, weight=1 / self.averaged)

    @torch.no_grad()
    def show(self, average):
        """Lets the parameters show the average, if there is one, or the iterate.

        Returns:
            True if the parameters changed since the last call, also by load_state_dict.
        """
        change, self.loaded = self.loaded, False
        if self.hidden is not None and self.shows_average != average:
            for p, hidden in zip(self.parameters(), self.hidden, strict=True):
                shown = p.data.clone()
                p.data.copy_(hidden)
                hidden.copy_(shown)
            self.shows_average, change = average, True
        return change

    def state_dict(self):
        """The iterates and the averages, whichever of them the parameters show."""
        shown = [p.data for p in self.parameters()]
        iterates, averages = (self.hidden, shown) if self.shows_average else (shown, self.hidden)
        return {"averaged": self.averaged, "iterates": iterates, "averages": averages}

    @torch.no_grad()
    def load_state_dict(self, state_dict):
        """Restores both; the parameters then show the iterate."""
        params, iterates, averages = self.parameters(), state_dict["iterates"], state_dict["averages"]
        if len(iterates) == len(params):
            iterates = [own_rows(p, iterate) for p, iterate in zip(params, iterates, strict=True)]
        if [p.shape for p in params] != [iterate.shape for iterate in iterates]:
            raise Refused(
                "the optimizer state in the checkpoint does not match the shapes of the model's parameters: "
                "resume with the same --arch and the same --fp16 flags, or give --reset-optimizer"
            )
        for p, iterate in zip(params, iterates, strict=True):
            p.data.copy_(iterate)
        if averages is not None:
            averages = [
                own_rows(p, average).to(p, copy=True) for p, average in zip(params, averages, strict=True)
            ]
        self.averaged, self.hidden = state_dict["averaged"], averages
        self.shows_average, self.loaded = False, True
