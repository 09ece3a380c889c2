"""Packages import only the packages below them (docs/design.md), and no test module imports another."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lm_plugins"
MAY_IMPORT = {  # package -> packages of lm_plugins, from the bottom to the top
    "ops": set(),
    "modules": {"ops"},
    "data": set(),
    "optim": {"modules"},
    "evaluation": {"data", "modules", "ops"},
    "models": {"data", "modules", "ops"},
    "criterions": {"data", "modules", "ops"},
    "scoring": {"data", "evaluation", "models"},
    "exporting": {"data", "models"},
    "architectures": {"models"},
    "converting": {"data", "models"},
    "rescoring": {"evaluation", "scoring"},
    "tasks": {"ops", "modules", "data", "optim", "evaluation", "models", "criterions"},
}
# Files next to the packages that any package but ops may import; the others are above all packages.
BASE = {
    "checkpoint_contents",
    "checkpoints",
    "damage",
    "data_folders",
    "errors",
    "files",
    "flags",
    "grid_picture",
    "host_values",
    "matmul_precision",
    "metrics",
    "out_of_memory",
    "peak_memory",
    "ranges",
    "ranks",
    "recovery",
    "sampling",
    "stop_signals",
    "user_dir",
    "writer_lock",
}
WITHOUT_FAIRSEQ = {"ops", "modules"}
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def imports(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file under `folder` with the name of a module that it imports."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                if node.module == "lm_plugins":
                    yield from ((path, f"lm_plugins.{name.name}") for name in node.names)
                else:
                    yield path, node.module


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_package_imports_only_the_packages_below_it(folder):
    allowed = {folder} | MAY_IMPORT[folder] | (set() if folder == "ops" else BASE)
    wrong = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path, name in imports(PACKAGE / folder)
        if name.split(".")[0] == "lm_plugins" and (name.split(".") + [""])[1] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", sorted(WITHOUT_FAIRSEQ))
def test_ops_and_modules_need_torch_only(folder):
    allowed = {"lm_plugins", "torch", "triton", *sys.stdlib_module_names}
    wrong = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path, name in imports(PACKAGE / folder)
        if name.split(".")[0] not in allowed
    ]
    assert wrong == []


def test_no_module_of_tests_imports_another():
    """Shared code belongs in tests/helpers, and fixtures in a conftest.py."""
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, name in imports(ROOT / "tests")
        if name.split(".")[0] == "tests" and name.split(".")[1] != "helpers"
    ]
    assert wrong == []


def test_the_order_of_the_table_is_that_of_the_imports():
    order = list(MAY_IMPORT)
    for folder, below in MAY_IMPORT.items():
        assert below <= set(order[: order.index(folder)]), folder


def rows(section: str) -> list[list[str]]:
    """Return the cells of the rows of tables in a section of docs/design.md."""
    text = (ROOT / "docs/design.md").read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    return [row.strip("|").split("|") for row in text.splitlines() if row.startswith("| `")]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_documentation_has_the_same_table():
    packages = [cells for cells in rows("Packages") if len(cells) == 3]
    documented = {cells[0].strip(" `/"): {*names(cells[2])} for cells in packages}
    assert documented == {folder: MAY_IMPORT[folder] for folder in MAY_IMPORT if folder in FOLDERS}


@pytest.mark.parametrize("section, folder", [("Packages", ""), ("Life of the task", "tasks")])
def test_the_documentation_explains_each_file(section, folder):
    """Newcomers find a file by these tables, in folders with more files than a reader opens."""
    documented = sorted(name for cells in rows(section) for name in names(cells[0]) if name.endswith(".py"))
    assert documented == sorted(path.name for path in (PACKAGE / folder).glob("[!_]*.py"))
