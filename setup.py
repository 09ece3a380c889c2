"""lm_plugins as a package, for an environment that already has torch and fairseq.

Neither is a requirement here: pip would take the newest CUDA build of torch for one, and build
fairseq against another torch than the one in use. docs/install.md tells how to install both.
"""

from setuptools import find_packages, setup

setup(
    name="lm-plugins",
    version="0.1.0",
    description="Recurrent language models for fairseq: AWD-LSTM, QRNN and their training regime",
    packages=find_packages(include=["lm_plugins*", "preprocess*", "recipes*"]),
    python_requires=">=3.11,<3.14",
    install_requires=["numpy", "sentencepiece", "tensorboard", "tqdm"],
)
