"""Colours and type of the web app; fonts are those of the visitor's system."""

from pathlib import Path

from gradio.themes import Base, Color, sizes

from platemark.apps.web.assets import STYLE

_SCRIPT = Path(__file__).with_name("page.js")
_SANS = (
    *("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue"),
    *("Noto Sans", "Liberation Sans", "DejaVu Sans", "sans-serif"),
)
_MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")
_INK = Color(
    *("#f3f5fe", "#e8ebfb", "#cdd4f8", "#aab6f2", "#8192e8", "#5a6ddc"),
    *("#2742c7", "#2138ab", "#1c2f8c", "#1a2a72", "#121c4b"),
    name="ink",
)
_STONE = Color(
    *("#fbfaf8", "#f7f5f1", "#e9e5de", "#d8d3ca", "#a5a19a", "#7d7b78"),
    *("#5d5e64", "#42444c", "#31343d", "#1b1d23", "#131418"),
    name="stone",
)


def theme() -> Base:
    """The theme for Gradio's own components; the rest is in ``style.css``."""
    return Base(
        primary_hue=_INK,
        secondary_hue=_INK,
        neutral_hue=_STONE,
        text_size=sizes.text_md,
        radius_size=sizes.radius_lg,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_background_fill="#f7f5f1",
        body_background_fill_dark="#131418",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_padding="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="600",
        block_title_text_color="#33353d",
        block_title_text_color_dark="#d6d6d4",
        block_info_text_color="#62646e",
        block_info_text_color_dark="#a0a2ab",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1b1d23",
        input_border_color="#cfcac0",
        input_border_color_dark="#454954",
        input_border_width="1px",
        input_shadow="none",
        button_primary_background_fill="#2742c7",
        button_primary_background_fill_hover="#1c2f8c",
        button_primary_background_fill_dark="#9aaaff",
        button_primary_background_fill_hover_dark="#c0caff",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#10121c",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#1b1d23",
        button_secondary_border_color="#cfcac0",
        button_secondary_border_color_dark="#454954",
        button_border_width="1px",
        button_large_text_weight="500",
        button_primary_shadow="none",
        button_cancel_background_fill="#a4262c",
        button_cancel_background_fill_hover="#7f1d22",
        button_cancel_background_fill_dark="#ff9d94",
        button_cancel_background_fill_hover_dark="#ffc2bc",
        button_cancel_text_color="#ffffff",
        button_cancel_text_color_dark="#2a0c0a",
        slider_color="#2742c7",
        slider_color_dark="#9aaaff",
    )


def css() -> str:
    """Rules of our own."""
    return STYLE.read_text(encoding="utf-8")


def head() -> str:
    """What goes into the head of the page: a description and scripts of our own."""
    script = _SCRIPT.read_text(encoding="utf-8")
    return (
        '<meta name="description" content="Finds licence plates and stamps in pictures.">'
        f"<script>{script}</script>"
    )
