"""Pages from templates: everything escaped, every sentence from the catalogue."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from enclave import messages
from enclave.errors import Told, http_status
from enclave.messages import Language
from enclave.web.hub_sign_in import BASE
from enclave.web.visitor import Visitor
from enclave.web.words import amount, size, status_words

HERE = Path(__file__).parent

_environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(visitor: Visitor, template: str, status: int = 200, **context: object) -> HTMLResponse:
    """Render a page for a signed-in person."""
    words = _words(visitor.language)
    body = _environment.get_template(template).render(visitor=visitor, base=BASE, **words, **context)
    return HTMLResponse(body, status_code=status)


def refusal(error: Told, language: Language, visitor: Visitor | None, back: str = BASE) -> HTMLResponse:
    """Render what was refused, why, and what to do."""
    told = messages.error(error, language)
    body = _environment.get_template("refusal.html").render(
        visitor=visitor, base=BASE, told=told, back=back, **_words(language)
    )
    return HTMLResponse(body, status_code=http_status(error))


def _words(language: Language) -> dict[str, object]:
    now = datetime.now(UTC)
    of_language: dict[str, Callable[..., str]] = {
        "t": lambda key, **params: messages.sentence(key, language, **params),
        "num": lambda value: messages.number(value, language),
        "moment": lambda value: messages.moment(value, language),
        "typeset": messages.typeset if language == "fr" else str,
        "clock": lambda value: messages.clock(str(value), language),
        "day": lambda value: messages.day(value, language),
        "since": lambda value: messages.since(value, now, language),
        "status": partial(status_words, language=language),
        "size": lambda value: size(value, language),
        "rho": lambda value: amount(value, language),
    }
    return {"lang": language, **of_language}
