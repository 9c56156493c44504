# The newcomer's two commands: `make demo` and `make test`. They need Python ≥ 3.10 with pip, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check clean

# Annotate the tour with the embedded network.
demo: $(VENV)/installed
	$(BIN)/live-gradcam annotate videos/tour.mp4 -o output/tour-gradcam.mp4 --overwrite

# Run the whole test suite.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest

# What CI runs besides the tests.
check: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --strict --follow-imports=silent examples
	$(BIN)/lint-imports

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/pip pyproject.toml constraints.txt
	@echo "installing (TensorFlow is large: this can take some minutes)"
	$(INSTALL) -e .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(INSTALL) -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-newest output build *.egg-info
