"""The house as pages, API and hub meet it: one desk for each kind of asking, all in one `FrontDesk`."""

from enclave.desks.populations import PopulationDesk
from enclave.desks.questions import QuestionDesk
from enclave.desks.releases import ReleaseDesk
from enclave.desks.scrutiny import ScrutinyDesk
from enclave.desks.sessions import SessionDesk

__all__ = ["FrontDesk"]


class FrontDesk(SessionDesk, QuestionDesk, PopulationDesk, ReleaseDesk, ScrutinyDesk):
    """Everything the web layer may ask of the house."""

    def after_restart(self) -> None:
        """Close what a crash left open in the trail, and open the sockets of sessions that are still there."""
        self.recorder.close_interrupted()
        self.catch_up_releases()
        self.reopen_sessions()
