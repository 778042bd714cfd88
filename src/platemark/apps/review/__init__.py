"""Label and correct a data set in the browser; beside the server a place that imports FastAPI."""

from platemark.apps.review.app import create_review as create_review
from platemark.apps.review.session import Review as Review
