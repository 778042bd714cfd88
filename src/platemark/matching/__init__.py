"""Two imprints laid on each other: made ready, aligned, and brought to one canvas.

Knows no pages and no networks; `platemark.tasks.comparer` judges what lies on the canvas. An
imprint that is matched often is made ready once, as an `InkTemplate`.
"""

from platemark.matching.template import Imprint, InkTemplate

__all__ = ["Imprint", "InkTemplate"]
