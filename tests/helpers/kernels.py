"""Where the tests of the compiled kernels run: wherever there is a C++ compiler, built or not built."""

import os
import shutil

import pytest

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "c++").split()[0]) is None, reason="there is no C++ compiler"
)
