"""Notebook sessions, for the hub: no receipt, no notebook."""

from enclave.agreements.rules import may_work, project_open
from enclave.desks.people import PeopleDesk
from enclave.desks.tools import today
from enclave.errors import EnclaveError
from enclave.recording import Actor, EventObject
from enclave.sessions import HUB, Holder
from enclave.web.sheets import (
    Channel,
    SessionPlace,
)


class SessionDesk(PeopleDesk):
    """Opens and closes the rooms notebooks run in, and keeps count of what leaves them."""

    def open_session(self, person: str, project: str) -> SessionPlace:
        """Ask whether this person may work in this project today, then lay the session out."""
        about = self.agreements.project(project)
        try:
            found = self.person(person)
            may_work(found, about)
            project_open(about, today())
        except EnclaveError as refusal:
            objects = [EventObject("project", project)]
            actor = Actor(person, "person", "none")
            self.recorder.single(
                "data.denied",
                actor=actor,
                objects=objects,
                project=project,
                outcome="denied",
                reason=refusal.code,
            )
            raise
        holder = Holder(person, project)
        session = self.sessions.open(holder)
        folder = self.sessions.folder(session)
        return SessionPlace(
            session, str(folder / "nb"), str(folder / "data"), str(self.sessions.workspace(holder))
        )

    def session_started(self, session: str, *, ok: bool) -> None:
        """Close the intent with what happened."""
        self.sessions.started(session, ok=ok)

    def close_session(self, session: str) -> None:
        """Take the session's socket away; the trace never holds it up."""
        self.sessions.close(session)

    def holder(self, session: str) -> Holder:
        """Say whose socket this is."""
        return self.sessions.holder(session)

    def meter(self, person: str, project: str, channel: Channel, amount: int) -> None:
        """Record bytes about to leave towards a browser, or that the day's allowance is used up."""
        self.recorder.single(
            "session.limit" if channel == "limit" else "session.bytes",
            actor=HUB,
            objects=[EventObject("person", person), EventObject("channel", channel)],
            project=project,
            counts={"bytes": amount},
        )

    def reopen_sessions(self) -> None:
        """Open the data sockets of sessions whose folders a restart left there."""
        self.sessions.reopen(
            Holder(person, project.id) for project in self.agreements.projects() for person in project.people
        )
