"""``platemark serve``: the HTTP API and the web app on one port."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from platemark.apps.cli.common import QuietOption, check_exists, messages
from platemark.errors import MissingExtra


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; default: 8000, 0 any free one.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(metavar="URL", help="Registry of known stamps: a path or a URL.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures worked on at a time; default: all cores.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads for each picture; default: 1.")
    ] = None,
    web: Annotated[
        bool | None, typer.Option("--web/--no-web", help="Serve the web app; default: yes.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with settings; default: the one in PLATEMARK_CONFIG."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Serve the HTTP API and the web app.

    Every setting can also be a variable PLATEMARK_... or stand in the TOML file. Log lines, JSON,
    go to standard error. Ctrl-C or SIGTERM let the requests in flight finish.
    """
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise MissingExtra("serving over HTTP", "serve")
    check_exists(config, "--config")
    from platemark.apps.server import serve as run
    from platemark.apps.server.app import Mount
    from platemark.apps.settings import Settings

    settings = Settings.load(
        config, host=host, port=port, registry=registry, workers=workers, threads=threads, web=web
    )

    def ready(address: str) -> None:
        if not quiet:
            messages().print(f"platemark serves on {address}, the API is explained at /docs")

    mounts: tuple[Mount, ...] = ()
    if settings.web:
        from platemark.apps.web import mount

        mounts = (mount,)
    run(settings, mounts, ready=ready)
