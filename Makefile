# `make demo` and `make test` are all that a fresh machine needs; docs/development.md says more.

# Any Python from 3.9 on starts the set-up; it finds or brings the versions that the environments need.
PYTHON ?= python3
ENGINE := .venv/bin/python

.PHONY: help env engine demo test quick bench bench-pixels extension clean

help:
	@echo "make demo          set-up, then the sample clip end to end into demo/"
	@echo "make test          set-up, then every test"
	@echo "make quick         lint, types, layers and the fast tests"
	@echo "make bench         the measured comparisons"
	@echo "make bench-pixels  the pipeline on the twelve rendered sequences (an hour and more)"
	@echo "make extension     the extension zip into dist/"
	@echo "make env           the set-up alone"
	@echo "make clean         remove what was built; environments stay"

env:
	$(PYTHON) tools/set_up.py engine bpy45 bpy52

engine:
	$(PYTHON) tools/set_up.py engine

demo: env
	$(ENGINE) tools/demo.py

test: env
	$(ENGINE) tools/check.py

quick: engine
	$(ENGINE) tools/check.py --quick

bench: env
	$(ENGINE) bench/run.py

bench-pixels: env
	$(ENGINE) -m bench.sequences all --output build/rendered
	$(ENGINE) -m bench.pixels --rendered build/rendered --against bench/pixels/first.json

extension: env
	$(ENGINE) tools/build_extension.py

clean:
	rm -rf build dist demo *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
