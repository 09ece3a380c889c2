"""Trace a model with torch.export and write it as an ONNX file."""

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lm_plugins.errors import Refused
from lm_plugins.exporting.forms import STEP, form_of
from lm_plugins.models.recurrent_decoder import RecurrentDecoder

LARGEST = 2**31 - 2**24  # bytes of the parameters: a file of protobuf holds less than 2 GiB


def write_onnx(decoder: RecurrentDecoder, form: str, level: str, path: str | os.PathLike) -> None:
    """Write `decoder` in float32 to `path`.

    The metadata of the file has `form`, `level` and `dictionary`, the symbols by id as a list in JSON.

    Args:
        decoder: in evaluation, on a CPU
        form: STEP or WINDOW
        level: what a token is

    Raises:
        Refused: the model is too large, or cannot be traced for all sizes.
    """
    decoder = decoder.float()
    size = sum(parameter.numel() * parameter.element_size() for parameter in decoder.parameters())
    if size > LARGEST:
        raise Refused(
            f"the model cannot be exported: its parameters take {size / 1e9:.1f} GB, but an ONNX file holds "
            "less than 2 GiB"
        )
    parts = form_of(decoder, form)
    try:
        with quietly(), torch.no_grad():
            program = torch.onnx.export(
                parts.module,
                parts.examples,
                dynamo=True,
                dynamic_shapes=parts.dynamic,
                input_names=parts.inputs,
                output_names=parts.outputs,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise Refused(_untraceable(form, _reason(error))) from error
    for value in program.model.graph.inputs:
        sizes = value.shape if value.name in ("ids", "targets") else value.shape[:1]
        if any(isinstance(size, int) for size in sizes):
            raise Refused(_untraceable(form, f"{value.name} has the fixed shape {list(value.shape)}"))
    for node in program.model.graph.all_nodes():  # their metadata names files of this machine
        node.metadata_props.clear()
    program.model.metadata_props.update(
        {"form": form, "level": level, "dictionary": json.dumps(decoder.dictionary.symbols)}
    )
    program.save(os.fspath(path), external_data=False)


def _untraceable(form: str, reason: str) -> str:
    sizes = "number of streams" if form == STEP else "number of streams and of steps"
    advice = "" if form == STEP else ": give --step, or loop over time with lm_plugins.ops.recurrence"
    return f"the model cannot be exported: torch does not trace it for any {sizes} ({reason}){advice}"


def _reason(error: BaseException) -> str:
    """Return the first line of the error that `error` was raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@contextmanager
def quietly() -> Iterator[None]:
    """Hide the log messages and warnings of the exporter and of onnxruntime's quantization."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
