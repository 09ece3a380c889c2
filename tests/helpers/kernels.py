"""Skip tests of the compiled kernels where there is no C++ compiler."""

import os
import shutil

import pytest

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "c++").split()[0]) is None, reason="there is no C++ compiler"
)
