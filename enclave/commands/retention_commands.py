"""`enclave audit detail|retention|erase`: what is kept of persons beside the trail, and its end."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any

import typer

from audit.retention import Rules
from enclave import messages
from enclave.commands.console import As, Json, PasswordFile, Signed, language, show, sign_in
from enclave.details_door import DetailsDoor
from enclave.errors import BadInput
from enclave.journeys import retention as journey
from enclave.journeys.retention import RetentionTools

Person = Annotated[str, typer.Argument(metavar="PERSON", help="The id of the person.")]


def detail(
    index: Annotated[int, typer.Argument(min=0, help="The number of the event.")],
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Read the sealed detail beside an event, as an auditor or DPO; the reading is itself recorded.

    Example: enclave audit detail 1204 --as auditor-a
    """
    signed = sign_in(by, password_file)
    told = journey.read_detail(signed.books.recorder, _door(signed), signed.visitor, index)
    lines = [f"{_say(f'audit.detail.{word}')}: {text}" for word, text in told["words"].items()]
    show(told, [told["person"], *lines], as_json=as_json)


def retention(
    by: As,
    password_file: PasswordFile = None,
    *,
    do_it: Annotated[
        bool, typer.Option("--apply", help="Erase what is past its time. This cannot be undone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the durations, what is kept, and what is past its time; with --apply a DPO has it erased.

    Examples: enclave audit retention --as auditor-a · enclave audit retention --apply --as dpo-a
    """
    signed = sign_in(by, password_file)
    tools = _tools(signed)
    told = (journey.apply if do_it else journey.survey)(tools, signed.visitor)
    result = {"rules": {**tools.rules.as_counts(), "reason": tools.rules.reason}, "applied": do_it, **told}
    show(result, _of_durations(tools.rules, told, done=do_it), as_json=as_json)


def erase(
    person: Person,
    by: As,
    password_file: PasswordFile = None,
    *,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask that the person's key be destroyed; nothing happens yet.")
    ] = False,
    agree: Annotated[
        bool,
        typer.Option("--agree", help="Agree to what the other one asked: destroys it, and cannot be undone."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what is kept of a person, or end it: an auditor and a DPO, two persons, one asks and the other agrees.

    Examples: enclave audit erase researcher-a --ask --as dpo-a · enclave audit erase researcher-a --agree --as auditor-a
    """
    _one_of(ask=ask, agree=agree)
    signed = sign_in(by, password_file)
    tools = _tools(signed)
    if agree:
        gone = journey.agree(tools, signed.visitor, person)
        done = _say("retention.destroyed", person=person, n=gone)
        show({"person": person, "destroyed": gone}, [done], as_json=as_json)
        return
    if ask:
        journey.ask(tools, signed.visitor, person)
    told = journey.of_person(tools, signed.visitor, person)
    lines = [_say("retention.just_asked")] if ask else _of_person(person, told)
    show({"person": person, **told}, lines, as_json=as_json)


def prune(
    by: As,
    password_file: PasswordFile = None,
    *,
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask that the oldest entries be removed; nothing happens yet.")
    ] = False,
    agree: Annotated[
        bool,
        typer.Option(
            "--agree", help="Agree to what the other one asked: removes them, and cannot be undone."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how many of the oldest entries nobody may keep any longer, or remove them: an auditor and a DPO together.

    Examples: enclave audit prune --ask --as dpo-a · enclave audit prune --agree --as auditor-a
    """
    _one_of(ask=ask, agree=agree)
    signed = sign_in(by, password_file)
    tools = _tools(signed)
    if agree:
        done = journey.agree_to_prune(tools, signed.visitor)
        words = _say("retention.pruned", n=done["removed"], boundary=done["boundary"])
        show(done, [words], as_json=as_json)
        return
    if ask:
        journey.ask_to_prune(tools, signed.visitor)
    told = journey.prunable(tools, signed.visitor)
    show(told, [_say("retention.just_asked")] if ask else _of_log(told), as_json=as_json)


def _one_of(*, ask: bool, agree: bool) -> None:
    if ask and agree:
        raise BadInput("ask_or_agree", "One asks and the other agrees.", "Give one of --ask and --agree.")


def _of_log(told: Mapping[str, Any]) -> Iterator[str]:
    yield _say("retention.log", size=told["size"], pruned=told["pruned"])
    more = told["boundary"] - told["pruned"]
    if not more:
        yield _say("retention.nothing_to_prune")
        return
    yield _say("retention.prunable", n=more)
    yield from _who_asked(told["asked"])


def _of_durations(rules: Rules, told: Mapping[str, Any], *, done: bool) -> Iterator[str]:
    yield _say("retention.durations", days=rules.access_days, years=rules.decision_years)
    if rules.reason:
        yield _say("retention.longer", reason=rules.reason)
    expired = _both(told["expired"])
    if done:
        yield _say("retention.erased", **expired)
        return
    yield _say("retention.held", **_both(told["held"]))
    yield _say("retention.expired", **expired) if told["expired"] else _say("retention.nothing")
    if told["next"] is not None:
        yield _say("retention.next", day=messages.day(date.fromisoformat(told["next"]), language()))
    if told["without_end"]:
        yield _say("retention.without_end", n=told["without_end"])
    if told["missing"]:
        yield _say("retention.missing", n=told["missing"])
    yield _say("retention.dry_run")


def _both(counts: Mapping[str, int]) -> dict[str, int]:
    """Give the counts of both classes; what was never recorded goes with the accesses."""
    decision = counts.get("decision", 0)
    return {"access": sum(counts.values()) - decision, "decision": decision}


def _of_person(person: str, told: Mapping[str, Any]) -> Iterator[str]:
    yield _say("retention.person", person=person, n=told["held"])
    yield from _who_asked(told["asked"])


def _who_asked(asked: Mapping[str, Any] | None) -> Iterator[str]:
    if asked is None:
        yield _say("retention.nobody_asked")
        return
    when = messages.clock(asked["at"], language())
    yield _say("retention.asked", by=asked["by"], role=asked["role"], when=when)


def _say(key: str, **params: object) -> str:
    return messages.sentence(key, language(), **params)


def _tools(signed: Signed) -> RetentionTools:
    rules = journey.rules_of(signed.settings.trail)
    return RetentionTools(signed.books.recorder, _door(signed), signed.stores.agreements, rules)


def _door(signed: Signed) -> DetailsDoor:
    return DetailsDoor(signed.settings.socket("recorder"))
