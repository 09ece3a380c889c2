"""Install lm_plugins as a package, in an environment that already has torch and fairseq.

Neither is a requirement here: pip would install the newest CUDA build of torch, and build fairseq against a
torch other than the one in use. docs/install.md explains how to install both.

The kernels are optional: if there is no compiler, or if compiling fails, slower PyTorch code is used.
"""

import runpy
import shutil
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_py import build_py

KERNELS = runpy.run_path(str(Path(__file__).parent / "lm_plugins/ops/cpu_sources.py"))
SOURCES = KERNELS["sources"]()
BESIDE_FAIRSEQ = """\
fairseq looks for `--user-dir lm_plugins` in the current folder and then in this one. The package itself
is imported from its checkout, whose path is in __editable__.lm_plugins-*.pth. This folder holds no code.
"""


class BuildPy(build_py):
    def run(self):
        if self.editable_mode:  # fairseq needs a folder of this name next to its own
            folder = Path(self.get_finalized_command("install").install_lib, "lm_plugins")
            folder.mkdir()
            (folder / "README.txt").write_text(BESIDE_FAIRSEQ)
        else:  # sources of an earlier build would get into the wheel, and its kernels would be out of date
            for package in {name.split(".")[0] for name in self.packages}:
                shutil.rmtree(Path(self.build_lib, package), ignore_errors=True)
        super().run()


setup(
    name="lm-plugins",
    version="0.1.0",
    description="Recurrent language models for fairseq: AWD-LSTM, QRNN and their training regime",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the lm_plugins authors",
    license_expression="MIT",
    license_files=["LICENSE"],
    packages=find_packages(include=["lm_plugins*", "preprocess*", "recipes*"]),
    # This makes an editable install a path in a .pth file. With an import hook instead, Python would find the
    # folder that BuildPy makes first, and take it for the package.
    package_dir={"": "."},
    package_data={"lm_plugins.ops": SOURCES},
    ext_modules=[
        Extension(  # a plain library, which ctypes loads
            "lm_plugins.ops._cpu",
            [f"lm_plugins/ops/{path}" for path in SOURCES if path.endswith(".cpp")],
            depends=[f"lm_plugins/ops/{path}" for path in SOURCES],
            define_macros=[("SOURCE", f'"{KERNELS["digest"]()}"')],
            extra_compile_args=["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp"],
            extra_link_args=["-fopenmp"],
            optional=True,
        )
    ],
    cmdclass={"build_py": BuildPy},
    python_requires=">=3.11,<3.14",
    install_requires=[
        "matplotlib",
        "numpy",
        "omegaconf",
        "sentencepiece",
        "tensorboard",
        "tensorboardx",
        "tqdm",
    ],
    extras_require={
        "convert": ["safetensors"],
        "export": ["onnx", "onnxruntime", "onnxscript"],
        "ngram": ["kenlm"],
        "rescore": ["jiwer"],
        "search": ["optuna"],
    },
)
