"""The tests, each process of which computes with one thread: more would wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; the processes of a test inherit it
