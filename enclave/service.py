"""The enclave service: pages, internal API and one data socket per notebook session, in one process.

It holds `house.db` and no key that opens data; questions go to the engine.
"""

import asyncio
import sys
from pathlib import Path

from enclave.desks import FrontDesk
from enclave.errors import EnclaveError
from enclave.listeners import Listeners, until_told_to_stop
from enclave.settings import Settings, read_settings
from enclave.web.apps import data_app, house_app
from enclave.web.hub_sign_in import HubSignIn
from enclave.web.pages import pages_app
from enclave.wiring import front_desk
from vault.errors import VaultError


async def serve(settings: Settings) -> None:
    """Open the sockets of sessions that are still there, then pages and internal API."""
    desk: FrontDesk | None = None

    async def lay_out(listeners: Listeners) -> None:
        nonlocal desk

        def listen(path: Path) -> None:
            listeners.add(path, data)

        secure = settings.origin.startswith("https:")
        sign_in = HubSignIn(settings.run / "h" / "hub.sock", settings.state / "hub" / "pages-token")
        desk = front_desk(settings, listen=listen, hang_up=listeners.remove)
        data = data_app(desk)
        await asyncio.to_thread(desk.after_restart)
        await asyncio.to_thread(
            listeners.add, settings.socket("enclave"), pages_app(desk, sign_in, secure=secure)
        )
        await asyncio.to_thread(listeners.add, settings.socket("house"), house_app(desk))

    await until_told_to_stop(lay_out)
    if desk is not None:
        await asyncio.to_thread(desk.denials.settle)


def main() -> int:
    """Run the service; says why it cannot on stderr."""
    try:
        asyncio.run(serve(read_settings()))
    except (EnclaveError, VaultError) as error:
        print(f"{error.message} {error.to_do}", file=sys.stderr)  # noqa: T201 - the process's log
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
