"""Imports go one way: ops -> modules -> models -> tasks; see docs/design.md."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lm_plugins"
STANDARD = {"torch", "math", "functools", "typing", "dataclasses", "itertools"}
LIBRARIES = {"ctypes", "hashlib", "logging", "pathlib", "triton"}  # to find and call compiled kernels
ALLOWED = {  # folder -> what its files may import; None: anything but what FORBIDDEN says
    "ops": {*STANDARD, *LIBRARIES, "lm_plugins.ops"},
    "modules": {*STANDARD, "lm_plugins.ops", "lm_plugins.modules", "lm_plugins.ranks"},
}
FORBIDDEN = {
    "criterions": {"lm_plugins.models", "lm_plugins.tasks"},
    "optim": {"lm_plugins.models", "lm_plugins.tasks", "lm_plugins.criterions"},
    "data": {"lm_plugins.models", "lm_plugins.tasks", "lm_plugins.criterions"},
    "evaluation": {"lm_plugins.models", "lm_plugins.tasks", "lm_plugins.criterions"},
    "models": {"lm_plugins.tasks", "lm_plugins.criterions", "lm_plugins.architectures"},
    "architectures": {"lm_plugins.tasks", "lm_plugins.criterions", "lm_plugins.completion"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def within(name, parents):
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


@pytest.mark.parametrize("folder", ALLOWED)
def test_lower_layers_import_only_what_they_may(folder):
    files = sorted((PACKAGE / folder).rglob("*.py"))
    assert files
    wrong = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in files
        for name in imports(path)
        if not within(name, ALLOWED[folder])
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_layer_imports_the_ones_above(folder):
    wrong = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for name in imports(path)
        if within(name, FORBIDDEN[folder])
    ]
    assert wrong == []
