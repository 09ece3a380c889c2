"""The options of a registered class, from the dataclass that it was registered with."""

from dataclasses import Field, fields, is_dataclass

from fairseq.models import ARCH_MODEL_NAME_REGISTRY, MODEL_DATACLASS_REGISTRY
from fairseq.registry import REGISTRIES

KINDS = ("criterion", "optimizer", "lr_scheduler")  # of classes that a flag chooses by name


def dataclass_of(kind: str, name: str | None) -> type | None:
    """Return the dataclass of the class `name` of one of KINDS; None without one, as for fairseq's sgd."""
    options = REGISTRIES[kind]["dataclass_registry"].get(name)
    return options if is_dataclass(options) else None


def dataclass_of_arch(arch: str | None) -> type | None:
    """Return the dataclass of the model of an architecture; None if it has none."""
    options = MODEL_DATACLASS_REGISTRY.get(ARCH_MODEL_NAME_REGISTRY.get(arch))
    return options if is_dataclass(options) else None


def options_of(kind: str, name: str | None) -> dict[str, Field]:
    """Return {option: field} of the class `name` of one of KINDS; {} for a class without a dataclass."""
    options = dataclass_of(kind, name)
    return {} if options is None else {field.name: field for field in fields(options)}
