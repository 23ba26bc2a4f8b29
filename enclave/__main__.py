"""The command line of the house: `enclave --help`.

Exit codes: 0 done, 1 checked and not passed, 2 usage, 3 refused by a rule, 4 a component is down, 5 damaged.
"""

import resource
import sys

import typer
from sqlalchemy.exc import DatabaseError, IntegrityError

from enclave.commands import (
    house_commands,
    key_commands,
    objection_commands,
    people_commands,
    profile_commands,
    question_commands,
)
from enclave.commands.audit_commands import audit
from enclave.commands.budget_commands import budget
from enclave.commands.conformity_command import conformity
from enclave.commands.console import ERRORS, of_machine, tell_error
from enclave.commands.dataset_commands import dataset
from enclave.commands.release_commands import release

app = typer.Typer(
    name="enclave",
    help="A trusted research environment for health data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: a quarter of a second less at every command
)
for command in (
    house_commands.up,
    house_commands.down,
    house_commands.status,
    house_commands.doctor,
    conformity,
    question_commands.ask,
    question_commands.price,
):
    app.command()(command)
for name in ("person", "partner", "project", "agreement"):
    app.add_typer(getattr(people_commands, name), name=name)
app.add_typer(budget, name="budget")
dataset.command("profile")(profile_commands.profile)
dataset.command("shred")(key_commands.shred)
dataset.command("compact")(objection_commands.compact)
dataset.command("quarantine")(objection_commands.quarantine)
app.add_typer(dataset, name="dataset")
app.add_typer(key_commands.key, name="key")
app.add_typer(objection_commands.objection, name="objection")
app.add_typer(release, name="release")
app.add_typer(audit, name="audit")


def main() -> None:
    """Run a command; an error of the house or its tools is told, never traced.

    What is in memory, of this process and of those it starts, is never dumped onto a disk: keys and rows are in it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        app()
    except ERRORS as error:
        sys.exit(tell_error(error, as_json="--json" in sys.argv))
    except IntegrityError:
        raise
    except (OSError, DatabaseError) as error:
        sys.exit(tell_error(of_machine(error), as_json="--json" in sys.argv))


if __name__ == "__main__":
    main()
