"""Do two imprints come from one stamp? Laid on each other, then judged by a comparer.

Knows no pages: ink masks and their pictures in, `InkMatch` out. An imprint that is matched often is
made ready once, as an `InkTemplate`.
"""

from platemark.matching.match import InkMatch, match_ink
from platemark.matching.template import InkTemplate

__all__ = ["InkMatch", "InkTemplate", "match_ink"]
