# The newcomer's commands: `make demo`, `make demo-fit` and `make test`. They need Python ≥ 3.10 with pip, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests are shared out to as many processes as there are processors, four at most: each takes up to 5 GB.
BESIDE := --numprocesses auto --maxprocesses 4 --dist worksteal
# What fails is run once more by itself: the machine may have been busy for a moment. A fault fails again.
ONCE_MORE := --last-failed --last-failed-no-failures none
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# uv takes half of pip's time. Where it fails, pip installs: it knows the mirrors and proxies of pip.conf.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt
INSTALL := install() { $(UV) "$$@" || $(PIP) "$$@"; }; install

# The tests start hundreds of commands: without kept bytecode, each would compile the package again, for a second.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-fit test quick check docs clean

# Annotate the tour with the embedded network.
demo: $(VENV)/installed
	$(BIN)/live-gradcam annotate videos/tour.mp4 -o output/tour-gradcam.mp4 --overwrite

# Fit the embedded network to 200 small pictures, faces and others, and write a report.
demo-fit: $(VENV)/installed-pictures
	$(BIN)/python examples/make_faces.py output/faces
	$(BIN)/live-gradcam fit output/faces -o output/faces.keras --report output/faces-report --overwrite

# Run the whole test suite: beside one another what can, and then what measures time or memory, by itself.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest $(BESIDE) -m "not alone" || $(BIN)/python -m pytest $(ONCE_MORE)
	$(BIN)/python -m pytest -m alone || $(BIN)/python -m pytest $(ONCE_MORE)

# Run the tests that are quick.
quick: $(VENV)/installed-test
	$(BIN)/python -m pytest $(BESIDE) -m "not slow and not alone"

# What CI runs besides the tests.
check: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --strict --follow-imports=silent examples
	$(BIN)/lint-imports

# Build the site of the pages into site/. The theme's advertisement for its successor is left out.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/bin/pip:
	@$(PYTHON) -m venv $(VENV)
	@-$(PIP) uv

$(VENV)/installed: $(VENV)/bin/pip pyproject.toml constraints.txt
	@echo "installing (TensorFlow is large: this can take some minutes)"
	@$(INSTALL) -e .
	@touch $@

# The pictures of the demo of fit come with scikit-image.
$(VENV)/installed-pictures: $(VENV)/installed
	@$(INSTALL) scikit-image
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	@$(INSTALL) -e '.[docs]'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@$(INSTALL) -e '.[docs,test]'
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-newest $(VENV)-release output build dist site *.egg-info
