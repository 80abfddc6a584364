# Everything here works in a fresh clone with Python 3.11 or newer; nothing else need be installed.

PYTHON ?=
export PYTHON

py := .venv/bin/python

# Complete settings that are nobody's: `make lint` judges the code by them, never the .env of this checkout.
production := env -u DEBUG ENV_FILE=/dev/null DATABASE_URL=sqlite://:memory: ALLOWED_HOSTS=loyalty.example \
  SECRET_KEY=only-to-be-checked-4GvP8mZt2bQx7RkN1sWc5yHd9uJf3eLa ENCRYPTION_KEYS=K9zLk5v1Q4WJYgqHc2mWb1xk8k2u0m7c0l2b4Q3n5pE=

.PHONY: help demo test soak bench setup run lint screenshots pins clean venv venv-dev

help:
	@echo 'make demo     watch rewards and redemptions become delivered events (Ctrl-C ends it); CHECK=1: one round'
	@echo 'make test     the whole test suite; SEED=... repeats a run, ARGS=... goes to pytest'
	@echo 'make soak     kills it in every way, and counts what arrives; SHORT=1: in minutes; SEED=... repeats what chance decides'
	@echo 'make bench    how fast it is, on PostgreSQL and Redis; ARGS=throughput measures what begins so'
	@echo 'make setup    .venv, a first .env, the database'
	@echo 'make run      the real system, from the settings in the environment or .env'
	@echo 'make lint     formatting, rules, types, layers, migrations, production settings'
	@echo 'make screenshots  pictures of every screen, with demo data, into docs/screenshots'
	@echo 'make pins     write the pinned requirements anew from pyproject.toml'
	@echo 'make clean    remove what can be made again (not the database, not .env)'

demo: venv
	@exec env ENV_FILE=/dev/null DEBUG=1 $(py) manage.py demo $(if $(filter-out 0,$(CHECK)),--check)

test: venv-dev
	@seed=$${SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}; \
	echo "The order of tests and the examples of hypothesis: make test SEED=$$seed repeats them."; \
	exec $(py) -m pytest -n auto --dist worksteal -q --randomly-seed=$$seed --hypothesis-seed=$$seed $(ARGS)

soak: venv-dev
	@seed=$${SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}; \
	exec env SEED=$$seed $(py) -m pytest -q -p no:randomly --durations=5 --durations-min=1 tests/soak $(if $(filter-out 0,$(SHORT)),-m 'not long') $(ARGS)

bench: venv-dev
	@exec $(py) -m tests.bench $(ARGS)

setup: venv
	@$(py) config/first_env.py
	@$(py) manage.py migrate --verbosity 0
	@echo 'The database is up to date. `make run` starts everything at http://127.0.0.1:8000.'

run: venv
	@exec $(py) manage.py run

lint: venv-dev
	@$(py) -m ruff format --check --quiet . || { echo 'Some files are not formatted: ruff format .' >&2; exit 1; }
	@$(py) -m ruff check --quiet .
	@$(production) $(py) -m mypy .
	@.venv/bin/lint-imports --no-logo
	@$(production) $(py) manage.py makemigrations --check --dry-run
	@$(production) $(py) manage.py check --deploy --fail-level WARNING

screenshots: venv-dev
	@mkdir -p docs/screenshots
	@SCREENSHOTS=docs/screenshots $(py) -m pytest -q tests/browser/test_pictures.py

# In an environment of its own: pip-tools is no dependency of the project. Without addresses of package indexes.
pins: venv
	@test -x var/pins/bin/pip-compile || { $(py) -m venv var/pins && var/pins/bin/pip install --quiet pip-tools; }
	@for extra in '' dev; do \
	  var/pins/bin/pip-compile --quiet --strip-extras --generate-hashes --no-header --no-emit-index-url \
	    --no-emit-trusted-host --no-emit-find-links $${extra:+--extra $$extra} \
	    --output-file requirements$${extra:+-$$extra}.txt pyproject.toml || exit 1; \
	done

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* \
	  var/demo-* var/pins var/static var/venv.lock
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@sh config/venv.sh requirements.txt

venv-dev:
	@sh config/venv.sh requirements-dev.txt
