# Everything is done by scripts/ and the lem command; these are the short names.
.DEFAULT_GOAL := help
.PHONY: help quickstart test check lint docs bench coverage reported-vs-true gpu-check web screenshots images clean
VENV ?= .venv
export VENV

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: ## set up, run configs/quickstart.yaml, print its table, write its report (LAUNCHER=docker|process)
	@scripts/quickstart.sh
	@echo "The lem command is in $(VENV); to use it: . $(VENV)/bin/activate"

test: ## everything: checks, docs, tests with engines and containers (TESTS="tests/meters")
	@scripts/test.sh

check: ## the checks alone: format, lint, types, floors, documents, advisories, docs site
	@CHECKS=only scripts/test.sh

lint: check ## the same

docs: ## write the generated parts of docs/ anew and build the site into build/site
	@scripts/environment.sh dev
	@scripts/generate.sh
	@$(VENV)/bin/mkdocs build --strict --site-dir build/site

bench: ## speed and size of lem itself, side by side with what it is compared to
	@scripts/environment.sh dev engines
	@$(VENV)/bin/python -m bench

coverage: ## simulate whole campaigns: do the intervals hold what they say? writes docs/coverage.md
	@scripts/environment.sh
	@$(VENV)/bin/python -m coverage_study

reported-vs-true: ## lem, Zeus, CodeCarbon, LLenergyMeasure and AIPerf on the same played boards (REPEATS=20)
	@scripts/reported_vs_true.sh

gpu-check: ## measure on a machine with an NVIDIA GPU; needs no network (PARTS=idle,…; see docs/gpu.md)
	@$(or $(PYTHON),python3) -m gpu_check $(if $(PARTS),--parts $(PARTS))

web: ## build the pages' scripts and styles from web/ into lem/web/assets (needs Node.js)
	@scripts/environment.sh dev
	@scripts/web.sh

screenshots: ## pictures of the pages for README and docs, with the records that come with lem (REPORT=a campaign's folder; needs Chromium)
	@scripts/environment.sh dev
	@$(VENV)/bin/python scripts/screenshots.py $(if $(REPORT),--report $(REPORT))

images: ## build the engine images
	@scripts/environment.sh
	@$(VENV)/bin/lem images build --all

clean: ## remove the local environment, caches and built files; results stay
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
