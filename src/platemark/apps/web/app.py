"""The page: its tabs, and how Gradio is let to serve it."""

from typing import TYPE_CHECKING

import gradio as gr
from gradio.routes import App

from platemark.apps.services import Services
from platemark.apps.web import views
from platemark.apps.web.assets import ICON
from platemark.apps.web.compare import CompareTab
from platemark.apps.web.find import FindTab
from platemark.apps.web.learn import LearnTab
from platemark.apps.web.registry import RegistryTab
from platemark.apps.web.theme import css, head, theme
from platemark.apps.web.uploads import quiet, role_of

if TYPE_CHECKING:
    from fastapi import FastAPI

# Files that were uploaded or made for download: checked this often, removed at that age, seconds.
_CLEANED, _KEPT = 600, 3600


def create_web(services: Services) -> "FastAPI":
    """Make the web app.

    Args:
        services: What it stands on.
    """
    page = _page(services)
    page.queue(default_concurrency_limit=services.settings.max_in_flight)
    outer: FastAPI = gr.mount_gradio_app(
        App(),
        page,
        path="",
        theme=theme(),
        css=css(),
        head=head(),
        favicon_path=str(ICON),
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=services.settings.max_file_bytes,
        allowed_paths=[],
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
    )
    return outer


def _page(services: Services) -> gr.Blocks:
    with gr.Blocks(
        title="platemark",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(_CLEANED, _KEPT),
    ) as page:
        masthead = gr.HTML(views.masthead())
        with gr.Tabs(overflow_behavior="wrap", elem_classes="pm-tabs"):
            with gr.Tab("Plates"):
                FindTab(services, "plate")
            with gr.Tab("Stamps"):
                FindTab(services, "stamp")
            with gr.Tab("Compare"):
                CompareTab(services)
            with gr.Tab("Learn"):
                LearnTab(services)
            with gr.Tab("Registry") as tab:
                RegistryTab(services, tab, page)
        page.load(_greet, None, masthead, **quiet())
    return page


def _greet(request: gr.Request) -> str:
    return views.masthead(role_of(request))
