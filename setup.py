"""lm_plugins as a package, for an environment that already has torch and fairseq.

Neither is a requirement here: pip would take the newest CUDA build of torch for one, and build
fairseq against another torch than the one in use. docs/install.md tells how to install both.

The kernels are optional: without a compiler, or where it fails, torch does their work, slower.
"""

import hashlib
from pathlib import Path

from setuptools import Extension, find_packages, setup

OPS = Path(__file__).parent / "lm_plugins/ops"
SOURCES = sorted(path.relative_to(OPS).as_posix() for path in OPS.glob("**/cpu.[ch]*"))
DIGEST = hashlib.sha256(b"".join((OPS / path).read_bytes() for path in SOURCES)).hexdigest()[:16]

setup(
    name="lm-plugins",
    version="0.1.0",
    description="Recurrent language models for fairseq: AWD-LSTM, QRNN and their training regime",
    packages=find_packages(include=["lm_plugins*", "preprocess*", "recipes*"]),
    package_data={"lm_plugins.ops": SOURCES},
    ext_modules=[
        Extension(  # a plain library, for ctypes
            "lm_plugins.ops._cpu",
            [f"lm_plugins/ops/{path}" for path in SOURCES if path.endswith(".cpp")],
            depends=[f"lm_plugins/ops/{path}" for path in SOURCES],
            define_macros=[("SOURCE", f'"{DIGEST}"')],
            extra_compile_args=["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp"],
            extra_link_args=["-fopenmp"],
            optional=True,
        )
    ],
    python_requires=">=3.11,<3.14",
    install_requires=["numpy", "sentencepiece", "tensorboard", "tqdm"],
)
