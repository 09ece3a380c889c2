"""Check the arguments of fo_pooling."""

import torch
from torch import Tensor


def check_shapes(gates: Tensor, c0: Tensor, f_factor: float | Tensor, reset: Tensor | None) -> None:
    """Raise a ValueError if the arguments of fo_pooling do not match."""
    shape = (*gates.shape[:2], c0.size(-1))
    mask = f_factor if torch.is_tensor(f_factor) else None
    if gates.dim() != 3 or c0.shape != shape[1:] or gates.size(2) != 3 * shape[2]:
        raise ValueError(
            f"fo_pooling expects gates [T, B, 3 H] and c0 [B, H], not {tuple(gates.shape)} and "
            f"{tuple(c0.shape)}"
        )
    for name, tensor, expected in (("f_factor", mask, shape), ("reset", reset, shape[:2])):
        if tensor is not None and (tensor.shape != expected or tensor.dtype != torch.bool):
            raise ValueError(
                f"fo_pooling expects a bool mask of shape {expected} as {name}, not {tensor.dtype} of shape "
                f"{tuple(tensor.shape)}"
            )
    devices = {tensor.device for tensor in (gates, c0, mask, reset) if tensor is not None}
    if len(devices) > 1:
        raise ValueError(f"fo_pooling expects all tensors on one device, not on {devices}")
