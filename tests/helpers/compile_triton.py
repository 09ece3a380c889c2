"""Compile the pooling kernels for GPUs that this machine lacks: ``python -m tests.helpers.compile_triton``.

It prints the PTX code as JSON, {"KERNEL PRECISION ARCHITECTURE": code}. A process that has imported the
kernels for Triton's interpreter cannot compile them.
"""

import json
from typing import Any

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from lm_plugins.ops.fo_pooling import triton as kernels

ARCHITECTURES = {"sm_80": 80, "sm_90": 90}  # A100, H100
PRECISIONS = ("fp32", "bf16")  # of the gates
CONSTANTS = {
    "FACTOR": 1.0, "H": 2500, "MASK": False, "RESET": False, "REAL": tl.float32,
    "BLOCK": kernels.BLOCK, "STAGES": kernels.STAGES, "mask": None, "reset": None,
}  # fmt: skip
KERNELS = {
    "forward": (kernels.forward_kernel, {**CONSTANTS, "KEEP": True}),
    "backward": (kernels.backward_kernel, CONSTANTS),
}


def ptx(kernel: Any, constants: dict[str, Any], precision: str, architecture: int) -> str:
    """Return the code of a `kernel` for gates of `precision`; everything else is float32."""

    def kind(argument: str) -> str:
        if argument in constants:
            return "constexpr"
        if argument in ("T", "B"):
            return "i32"
        return f"*{precision}" if argument.endswith("gates") else "*fp32"

    names = kernel.arg_names
    signature = {argument: kind(argument) for argument in names}
    source = ASTSource(
        kernel,
        signature,
        constexprs={(names.index(argument),): value for argument, value in constants.items()},
        attrs={
            (index,): [["tt.divisibility", 16]]
            for index, argument in enumerate(names)
            if signature[argument].startswith("*")
        },
    )
    target = GPUTarget("cuda", architecture, 32)
    return triton.compile(source, target=target, options={"num_warps": kernels.WARPS}).asm["ptx"]


if __name__ == "__main__":
    code = {
        f"{name} {precision} {label}": ptx(kernel, constants, precision, architecture)
        for name, (kernel, constants) in KERNELS.items()
        for precision in PRECISIONS
        for label, architecture in ARCHITECTURES.items()
    }
    print(json.dumps(code))
