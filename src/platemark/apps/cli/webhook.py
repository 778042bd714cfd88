"""The options of commands whose results a webhook takes too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platemark.apps.cli.common import FAILED, messages

if TYPE_CHECKING:
    from platemark.client.webhook import Outbox

# How long the end of a run waits for a receiver that takes nothing.
_PATIENCE_S = 60.0

WebhookOption = Annotated[
    str | None,
    typer.Option("--webhook", metavar="URL", help="Post each result to this address too."),
]
SecretOption = Annotated[
    str | None,
    typer.Option(
        "--webhook-secret",
        metavar="SECRET",
        envvar="PLATEMARK_WEBHOOK_SECRET",
        show_envvar=True,
        help="Sign what is posted with HMAC-SHA256.",
    ),
]


@contextmanager
def sending(url: str | None, secret: str | None, folder: Path) -> "Iterator[Outbox | None]":
    """Send what the block puts into an outbox, and what an earlier run left there.

    At the end of the block it waits a while until all is sent; after an error it does not.

    Args:
        url: Address of the webhook; None for none, and no outbox.
        secret: Signs the requests.
        folder: Of the outbox.

    Raises:
        typer.BadParameter: The address or the secret is none.
        typer.Exit: Not all was sent.
        MissingExtra: httpx is not installed.
    """
    if url is None:
        yield None
        return
    from platemark.client.webhook import Outbox, Webhook

    def report(message: str) -> None:
        messages().print(f"webhook: {message}", style="red", markup=False)

    outbox = Outbox(folder)
    try:
        webhook = Webhook(url, outbox, secret=secret, report=report)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--webhook") from error
    with webhook:
        yield outbox
        left = webhook.close(_PATIENCE_S)
    if left:
        messages().print(
            f"{left} results were not taken by the webhook; they are in {folder}, "
            "and the same command sends them.",
            style="red",
            markup=False,
        )
        raise typer.Exit(FAILED)
