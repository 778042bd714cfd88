"""How files and events come in: no address is fetched, nothing is offered beyond the pages."""

from typing import Any

import gradio as gr

from platemark.apps.settings import Settings
from platemark.errors import Forbidden

_TYPES = [
    *("image", ".pdf", ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"),
    *(".heic", ".heif"),
]


def upload(settings: Settings, label: str, elem_id: str, *, several: bool = False) -> gr.File:
    """A place to drop a file, or several.

    Args:
        settings: Say how large a file may be.
        label: What to drop.
        elem_id: Its id in the page.
        several: Whether more than one may be dropped; its value is a list then.
    """
    megabytes = max(1, settings.max_file_bytes // 1_000_000)
    place = gr.File(
        label=f"{label}, up to {megabytes} MB",
        file_types=_TYPES,
        file_count="multiple" if several else "single",
        type="filepath",
        elem_id=elem_id,
    )
    take = place.async_move_resource_to_block_cache

    async def take_upload(url_or_file_path: object) -> str | None:
        """Take a file that was uploaded; Gradio would fetch an address that stands in its place."""
        if "://" in str(url_or_file_path):
            raise gr.Error("Upload the file; addresses are not fetched.", print_exception=False)
        taken: str | None = await take(url_or_file_path)
        return taken

    # Not by a class of its own: Gradio writes a file beside the source of every such class.
    place.async_move_resource_to_block_cache = take_upload
    return place


def quiet() -> dict[str, Any]:
    """How events are wired: not part of an API, and without Gradio's veil over what is shown."""
    return {"api_visibility": "private", "show_progress": "hidden"}


def role_of(request: gr.Request) -> str | None:
    """The role of whoever sent an event, as the server found it."""
    state = request.request.scope.get("state", {})
    role: str | None = state.get("role")
    return role


def check_may_write(request: gr.Request) -> None:
    """Let only those pass who may change the registry.

    Raises:
        Forbidden: The key is for reading only.
    """
    if role_of(request) != "write":
        raise Forbidden("this key is for reading only; changes need a key with the role write")
