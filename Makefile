# Every target does its own set-up: it needs Python 3.11 or later with venv and pip, gcc and make, and nothing else.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready
FASHION := build/debian/usr/share/datasets/fashion-mnist
# Tests run in two processes (PROCESSES=8 on a larger machine) of one thread each: more threads than cores only wait for each
# other. A file stays in one process, for its tests share what they train; files come in order, for the longest are the first.
PROCESSES ?= 2
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: help demo test test-all check bench docs clean

help:
	@echo "make demo      train on real pictures, classify photographs, write a report (about two minutes)"
	@echo "make test      the default tests (minutes on two cores, no network, no accelerator)"
	@echo "make test-all  also the slow ones"
	@echo "make check     style and types"
	@echo "make bench     the quick figures of docs/benchmarks.md (DATA=folder MODEL=folder for more)"
	@echo "make docs      write docs/cli.md from the commands"
	@echo "make clean     remove what was made here"

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Fashion-MNIST as Debian packages it, unpacked here without root; where apt cannot get it, the demo takes other pictures.
$(FASHION):
	@mkdir -p build/debian
	@cd build/debian && apt-get download dataset-fashion-mnist >/dev/null 2>&1 \
	  && dpkg-deb -x dataset-fashion-mnist_*.deb . \
	  || echo "Fashion-MNIST is not to be had here (apt-get download dataset-fashion-mnist)."

demo: $(READY) $(FASHION)
	@$(RUN) -m photovision.app.demo

test: $(READY)
	$(PYTEST)

test-all: $(READY)
	$(PYTEST) -m 'not net'

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# DATA and MODEL are optional: a folder of JPEGs, and a trained model, for the figures that need them.
bench: $(READY)
	$(RUN) benchmarks/decode.py
	$(RUN) benchmarks/optimize.py --rounds 3
	$(RUN) benchmarks/ui.py . --repeats 5
	@if [ -n "$(DATA)" ]; then $(RUN) benchmarks/predict_folder.py $(DATA); fi
	@if [ -n "$(MODEL)" ]; then $(RUN) benchmarks/memory.py $(MODEL) --files 20000; fi
	@if [ -n "$(DATA)" ] && [ -n "$(MODEL)" ]; then $(RUN) benchmarks/service.py $(MODEL) $(DATA) --rounds 3; fi

docs: $(READY)
	$(RUN) -m photovision.app.reference docs/cli.md

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
