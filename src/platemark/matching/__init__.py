"""Do two ink masks come from one stamp? Laid on each other, then judged by what differs.

Knows no models and no pages: masks in, `InkMatch` out. A mask that is matched often is made ready
once, as an `InkTemplate`.
"""

from platemark.matching.match import InkMatch, match_ink
from platemark.matching.template import InkTemplate

__all__ = ["InkMatch", "InkTemplate", "match_ink"]
