"""The web app: the only place that imports Gradio."""

from platemark.apps.web.mounted import mount as mount
