# SPDX-License-Identifier: Apache-2.0
# Everything is behind `make`; each target first makes .venv ready (.ci/bootstrap, an instant when done).
#
#   make demo            two nodes on this computer; ONCE=1 runs the story and stops
#   make test            every stage, as CI runs it; STAGES="lint unit" runs some
#   make sim SEEDS=n FROM=k
#   make conformance-dsp TESTS="CN:01-03"
.DEFAULT_GOAL := test
.PHONY: demo test fmt lint types unit sim conformance-dsp bench docs build clean requirements data ready ready-run

bin := .venv/bin
SEEDS ?= 200
FROM ?= 0
STAGES ?=
export UV_PYTHON_DOWNLOADS = never

ready:
	@.ci/bootstrap dev

ready-run:
	@.ci/bootstrap run

demo: ready-run
	@$(bin)/corridor demo $(if $(ONCE),--once)

test: ready
	@$(bin)/python tools/stages.py $(STAGES)

lint unit build: ready
	@$(bin)/python tools/stages.py $@

docs: ready
	@$(bin)/python tools/docs.py && $(bin)/python tools/docs.py --check

conformance-dsp: ready
	@$(bin)/python conformance/dsp/run.py $(TESTS)

fmt: ready
	@$(bin)/ruff format . && $(bin)/ruff check --fix . && $(bin)/python tools/docs.py

types: ready
	@$(bin)/mypy

sim: ready
	@$(bin)/corridor sim --seeds $(SEEDS) --from $(FROM) --jobs 2

bench: ready
	@$(bin)/python -m bench

# The lock: one hash-pinned file a set. UPGRADE=1 takes newer releases that have cooled down.
compile = $(uv) pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--python-version 3.11 $(if $(UPGRADE),--upgrade)
uv = $(or $(wildcard .tools/bin/uv),uv)

requirements:
	$(compile) pyproject.toml --extra tables -o requirements/run.txt
	$(compile) pyproject.toml --all-extras -o requirements/all.txt
	$(compile) pyproject.toml --all-extras --group test --group dev -o requirements/dev.txt
	$(compile) --group build -o requirements/build.txt
	$(compile) --group bootstrap -o requirements/uv.txt
	$(compile) --no-deps --group data -o requirements/data.txt

# The demonstration's data, cut again from its source.
data: ready
	$(uv) pip install --quiet --no-deps --require-hashes --target build/data -r requirements/data.txt
	$(bin)/python tools/cut_population.py build/data/bokeh_sampledata/_data/population.csv.gz

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis \
		conformance/dsp/libs conformance/dsp/classes demo/run
	find src tests tools conformance -name __pycache__ -type d -prune -exec rm -rf {} +
