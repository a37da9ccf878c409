# What a user types is what CI runs.
#   make demo    installs, runs the whole chain on synthetic photographs, ends with demo-report/index.html
#   make test    installs, runs every test; NVIDIA's bindings and PyCUDA among them, over stand-ins for its hardware
#   make check   ruff, ruff format, mypy --strict, import-linter
#   make kernels compiles the CUDA kernels ahead, into the package; needs nvcc, but no GPU
#   make wheel   dist/*.whl, with compiled kernels where nvcc is there; without them NVRTC compiles on the device

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
STAND_INS := $(VENV)/stand-ins/.installed

.DEFAULT_GOAL := help
.PHONY: help setup stand-ins demo test check kernels wheel bench clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "sall-edge needs Python 3.10 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/sall-edge demo --output demo-report

stand-ins: $(STAND_INS)

$(STAND_INS): $(STAMP) $(wildcard tests/stand_ins/*.c) tests/stand_ins/install.py
	$(BIN)/python tests/stand_ins/install.py $(@D)
	touch $@

test: setup stand-ins
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

kernels: setup
	$(BIN)/python -m sall_edge.runtime.kernels

wheel: setup
	@if command -v nvcc || command -v /usr/local/cuda/bin/nvcc; then $(MAKE) kernels; else \
		echo 'no nvcc: this wheel holds no compiled kernels, NVRTC will compile them on the device'; fi
	rm -rf build # setuptools would pack what an earlier source left there
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

bench: setup
	$(BIN)/python benchmarks/pipeline.py

clean:
	rm -rf $(VENV) build dist *.egg-info demo-report sall_edge/runtime/kernels/*.cubin
