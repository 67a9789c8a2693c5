# Two commands do everything, set-up included:
#   make book                                  the book from the published rows -> _build/html/index.html
#   make test                                  the tests; OPTIONS="--precision bf16 --order reversed": see tests/conftest.py
# and five more:
#   make check                                 lint, format and types
#   make quick                                 a book of its own, every number computed now, of two seeds -> _build/quick/html
#   make book PRESET=quick DATASET=my_images   the same for any preset and data set
#   make verify                                a published run computed once more, row by row; OPTIONS="--seed 3 --minutes 5"
#   make lock                                  pins anew after a change in pyproject.toml

PRESET ?=
DATASET ?=
PYTHON ?= python3
OPTIONS ?=
OMP_NUM_THREADS ?= 1
BIN = .venv/bin
EXTRAS = attacks book check encoders test

# Images of containers often set this, and then every notebook and every test of a command compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: book quick test verify check lock clean

book: .venv/ready
ifeq ($(PRESET)$(DATASET),)
	$(BIN)/python -m lib.book
else
	$(BIN)/python -m lib.book --preset "$(or $(PRESET),quick)" $(if $(DATASET),--dataset "$(DATASET)")
endif

quick: .venv/ready
	$(BIN)/python -m lib.book --preset quick --seeds '[0, 1]'

test: .venv/ready
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal $(OPTIONS)

verify: .venv/ready
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) $(BIN)/python -m lib.runs verify $(OPTIONS)

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and 'Withstand needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

# All extras but those of clusters and buckets. Hashes for `make`, the same pins without them for conda, whose pip cannot mix hashes and a local package.
lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(EXTRAS:%=--extra %) pyproject.toml -o requirements.lock
	{ sed '/^      - /d' environment.yml; \
	  sed -n 's/^\([a-z0-9][^ ]*==[^;\\]*[^;\\ ]\) *\(;[^\\]*[^\\ ]\)\{0,1\} *\\$$/      - \1 \2/p' requirements.lock | sed 's/ *$$//'; \
	  echo '      - -e .'; } > environment.new && mv environment.new environment.yml

clean:
	rm -rf _build
