# What a user types is what CI runs.
#   make demo    installs, runs the whole chain on synthetic photographs, ends with demo-report/index.html
#   make test    installs, runs every test; NVIDIA's bindings and PyCUDA among them, over stand-ins for its hardware
#   make check   ruff, ruff format, mypy --strict, import-linter
#   make kernels compiles the CUDA kernels ahead, into the package; needs nvcc, but no GPU
#   make device-check [ENGINE=bundle]   on a Jetson or with an RTX card: device-report/, everything that only a device can show
#   make bench ENGINE=bundle PHOTOS=folder   what needs no checkpoint of docs/benchmarks.md, for an OpenVINO bundle
#   make wheel   dist/*.whl, with compiled kernels where nvcc is there; without them NVRTC compiles on the device

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
STAND_INS := $(VENV)/stand-ins/.installed

.DEFAULT_GOAL := help
.PHONY: help setup stand-ins demo test check kernels device-check wheel bench clean

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

$(STAND_INS): $(STAMP) $(wildcard tests/stand_ins/*.c* tests/fakes/*_on_cpu.h) tests/stand_ins/install.py sall_edge/runtime/kernels/prepare.cu
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

# On a Jetson TensorRT belongs to JetPack, so the virtual environment is one of its own that sees the system's packages;
# torch, which makes a network to measure, is installed only where no bundle is given.
ifneq ($(and $(filter aarch64,$(shell uname -m)),$(wildcard /etc/nv_tegra_release)),)
DEVICE_VENV   ?= .venv-device
DEVICE_EXTRAS := jetson,$(if $(ENGINE),build,train)
DEVICE_STAMP  := $(DEVICE_VENV)/.installed-$(DEVICE_EXTRAS)

$(DEVICE_STAMP): pyproject.toml
	/usr/bin/python3 -m venv --system-site-packages $(DEVICE_VENV)
	PATH="/usr/local/cuda/bin:$$PATH" $(DEVICE_VENV)/bin/python -m pip install --quiet --editable '.[$(DEVICE_EXTRAS)]' 'pytest>=8' 'hypothesis>=6.100'
	touch $@
else
DEVICE_VENV  ?= $(VENV)
DEVICE_STAMP := $(STAMP)
endif

device-check: $(DEVICE_STAMP)
	PATH="/usr/local/cuda/bin:$$PATH" $(DEVICE_VENV)/bin/python -m benchmarks.device_check $(if $(ENGINE),--engine '$(ENGINE)') $(DEVICE_OPTIONS)

wheel: setup
	@if command -v nvcc || command -v /usr/local/cuda/bin/nvcc; then $(MAKE) kernels; else \
		echo 'no nvcc: this wheel holds no compiled kernels, NVRTC will compile them on the device'; fi
	rm -rf build # setuptools would pack what an earlier source left there
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

bench: setup
	@test -n "$(ENGINE)" -a -n "$(PHOTOS)" || { echo 'make bench ENGINE=bundle PHOTOS=folder'; exit 2; }
	$(BIN)/python benchmarks/session_overhead.py $(ENGINE)
	$(BIN)/python benchmarks/benchmark_app_agreement.py $(ENGINE)
	$(BIN)/python benchmarks/folder.py $(ENGINE) $(PHOTOS)

clean:
	rm -rf $(VENV) .venv-device build dist *.egg-info demo-report device-report sall_edge/runtime/kernels/*.cubin
