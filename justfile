# Commands of the project; `just` lists them. The environments come from scripts/test or scripts/demo.

default:
    @just --list

# style, types and import contracts
check:
    ruff check .
    ruff format --check .
    mypy
    mypy notebooks_image
    lint-imports

# the tests, with coverage, a file at a time on two workers; `just test ""` includes the long crash runs
test marks="not long" *arguments:
    rm -f .coverage .coverage.*
    pytest -n 2 --dist loadfile -m "{{ marks }}" --cov --cov-report= {{ arguments }}

# full branch coverage where a missed branch is a missed promise
cover:
    coverage report --fail-under=100 --include="audit/*,vault/*,anonymisation/ledger.py,anonymisation/budget.py,*/rules.py,*/states.py"

# each claim about speed or size, one JSON line a claim
bench:
    for script in benchmarks/*.py; do python "$script"; done

# what is generated from code: state diagram, schemas, command line help
docs:
    python -m enclave.reference docs

# resolve the locks again (seven days of cooldown on new releases)
lock:
    scripts/lock
