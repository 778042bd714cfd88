"""Colours and type of the web app; fonts are those of the visitor's system."""

import base64
from pathlib import Path

from gradio.themes import Base, Color, sizes

_HERE = Path(__file__).parent
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
        slider_color="#2742c7",
        slider_color_dark="#9aaaff",
    )


def css() -> str:
    """Rules of our own."""
    return (_HERE / "style.css").read_text(encoding="utf-8")


def head() -> str:
    """What goes into the head of the page: scripts of our own and an icon."""
    icon = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#2742c7" '
        'stroke-width="2.6"><circle cx="16" cy="16" r="14"/><rect x="7.5" y="11.5" width="17" '
        'height="9" rx="2"/></svg>'
    )
    packed = base64.b64encode(icon.encode()).decode()
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    return (
        f'<link rel="icon" href="data:image/svg+xml;base64,{packed}">'
        '<meta name="description" content="Finds licence plates and stamps in pictures.">'
        f"<script>{script}</script>"
    )
