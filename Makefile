# `make demo` and `make test` do all the set-up; nothing but Python 3.11+, git and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

.PHONY: install demo test faults check lint golden bench clean

install: $(BIN)/arrears

$(BIN)/arrears: pyproject.toml uv.lock
	@command -v uv >/dev/null 2>&1 || test -x .uv/bin/uv || { $(PYTHON) -m venv .uv && .uv/bin/pip install --quiet uv; }
	$(UV) sync --quiet --frozen --compile-bytecode --python $(PYTHON)
	@touch $@

demo: install
	$(BIN)/python demo/demo.py $(if $(KEEP),--keep)

test: install
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Every fault there is a test for, at length: about an hour, PostgreSQL's own programs needed.
faults: install
	ARREARS_FULL_FAULTS=1 $(BIN)/python -m pytest tests/faults -n 2 --dist loadgroup -rs

check: install lint
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

golden: install
	$(BIN)/python -m tests.support.golden

# All figures, some hours; Celery's wants a Redis, BENCH_REDIS_URL unless it is redis://127.0.0.1:6379/9.
bench: install
	@test -n "$$ARREARS_TEST_POSTGRES_URL" || { echo "make bench: ARREARS_TEST_POSTGRES_URL must name a PostgreSQL server, such as postgresql://postgres@127.0.0.1/postgres" >&2; exit 2; }
	@for file in benchmarks/bench_*.py; do echo "== $$file"; PYTHONPATH=. $(BIN)/python $$file || failed="$$failed $$file"; done; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

clean:
	rm -rf $(VENV) .uv demo/arrears.db* demo/outbox demo/prefect
