"""Quantize the matrices of an exported model to 8 bits."""

import os
from typing import Any

import numpy as np

from lm_plugins.exporting.writing import quietly


def quantize(source: str | os.PathLike, destination: str | os.PathLike) -> None:
    """Write the model of the file `source` with 8-bit matrices to `destination`.

    Each matrix is quantized once, with one scale. Activations stay in float32, and are quantized for each
    product with a scale that follows from their values (onnxruntime's dynamic quantization). The 8-bit
    integers are unsigned: the products of signed ones overflow on CPUs without VNNI.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quietly():
        quantize_dynamic(
            os.fspath(source),
            os.fspath(destination),
            weight_type=QuantType.QUInt8,
            extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
        )
    model = onnx.load(os.fspath(destination))
    share_transposed(model.graph)
    onnx.save(model, os.fspath(destination))


def share_transposed(graph: Any) -> None:
    """Replace each 8-bit matrix that is the transpose of another one with that one.

    A tied table is looked up by rows and multiplied by columns, so the quantization stores it twice.
    onnxruntime then transposes it when it loads the file.

    Args:
        graph: an ``onnx.GraphProto``, changed in place
    """
    from onnx import TensorProto, helper, numpy_helper

    matrices = [
        (tensor, numpy_helper.to_array(tensor))
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.UINT8 and len(tensor.dims) == 2
    ]
    shared: set[str] = set()
    for index, (tensor, matrix) in enumerate(matrices):
        for other, transposed in matrices[index + 1 :]:
            if other.name not in shared and np.array_equal(matrix.T, transposed):
                shared.add(other.name)
                graph.initializer.remove(other)
                graph.node.insert(0, helper.make_node("Transpose", [tensor.name], [other.name], perm=[1, 0]))
