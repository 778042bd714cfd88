"""The process: load the models, listen, and on SIGTERM finish what is in flight."""

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from platemark.apps.server.app import Mount, create_app
from platemark.apps.server.connection import log_as_json
from platemark.apps.services import Services
from platemark.apps.settings import Settings
from platemark.errors import SettingsError


def serve(
    settings: Settings,
    mounts: tuple[Mount, ...] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until the process is told to stop.

    Args:
        settings: How.
        mounts: Add more to the application, such as the web app.
        ready: Is told the address once requests are taken.

    Raises:
        SettingsError: The address cannot be listened on.
        ModelError: A model cannot be used.
    """
    run(lambda: create_app(Services.load(settings), mounts), settings, ready)


def run(
    make: Callable[[], FastAPI], settings: Settings, ready: Callable[[str], None] | None = None
) -> None:
    """Serve an application until the process is told to stop.

    Args:
        make: Makes it, once the port is known to be free.
        settings: How.
        ready: Is told the address once requests are taken.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    log_as_json(settings.log_level)
    # Bound first: a port that is taken is found out before the models are loaded.
    listener = _listen(settings.host, settings.port)
    make_server(make(), settings, ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that says when it has started, and where."""

    ready: Callable[[str], None] | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if isinstance(self.config.app, FastAPI):
            self.config.app.state.stopping.set()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.ready is not None and sockets and self.started:
            host, port = sockets[0].getsockname()[:2]
            self.ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")


def make_server(
    app: object, settings: Settings, ready: Callable[[str], None] | None = None
) -> uvicorn.Server:
    """Make the server of an application, not yet started."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        root_path=settings.root_path,
        forwarded_allow_ips=list(settings.forwarded_allow_ips),
        # The log has lines of our own for every request, and names no software to strangers.
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    server = _Server(config)
    server.ready = ready
    return server


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another",
            key="port",
        ) from error
    return listener
