"""What all pages in a browser share, those of the web app and of the review: theme and logo."""

from pathlib import Path

_HERE = Path(__file__).parent
ICON = _HERE / "favicon.svg"
STYLE = _HERE / "style.css"

# The mark of the app: an imprint's two rings around the corners of a plate.
LOGO = (
    '<svg viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="2.4" '
    'aria-hidden="true"><circle cx="16" cy="16" r="14"/><rect x="7.5" y="11.5" width="17" '
    'height="9" rx="2.2"/><path d="M11 16h2.6M15 16h2M18.4 16H21"/></svg>'
)
