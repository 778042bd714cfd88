"""The HTTP server: the only place that imports FastAPI, with `platemark.apps.legacy`."""

from platemark.apps.server.app import create_app as create_app
from platemark.apps.server.run import serve as serve
