# Two commands do everything: `make demo` and `make test`. Each first installs what it needs.
# Variables: PYTHON= the interpreter to start from, TORCH= what pip installs if that has no torch, VENV= the folder
# of the environment. The choices made for an environment are stored in it and are its defaults from then on.

VENV ?= .venv
PYTHON ?= $(shell for p in "$$(sed -n 1p $(VENV)/lm_plugins-environment 2>/dev/null)" \
	python3 python3.12 python3.11 python3.13; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo "$$p" && break; done)

export OMP_NUM_THREADS ?= 1

.PHONY: help setup extras demo test gpu lint docs clean

help:
	@echo 'make demo    train and evaluate a small QRNN on the Python documentation'
	@echo 'make test    run the tests'
	@echo 'make gpu     test and measure on the GPU of this machine, in at most 20 minutes; writes gpu-report.md'
	@echo 'make lint    check the style of the code'
	@echo 'make docs    build the documentation into site/'
	@echo 'make setup   install into $(VENV) (the targets above do this first)'
	@echo 'make extras  also install the optional packages, such as ONNX and KenLM'
	@echo 'make clean   remove $(VENV), the files of the demo, and the built documentation'

setup:
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 to 3.13 found: install one, or name one with PYTHON=/path/to/python'; exit 1; }
	@$(PYTHON) tools/install.py --venv $(VENV) --torch='$(TORCH)'

demo: setup
	@$(VENV)/bin/python -m recipes.demo

extras: setup
	@$(VENV)/bin/python tools/install_extras.py

test: extras
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

gpu: setup
	$(VENV)/bin/python -m benchmarks.gpu

lint: setup
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .

docs: setup
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) $(VENV).lock exp/demo site
