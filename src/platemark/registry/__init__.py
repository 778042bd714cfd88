"""The registry of known stamps: kept, found again, named."""

from platemark.registry.records import Added as Added
from platemark.registry.records import Candidate as Candidate
from platemark.registry.records import Design as Design
from platemark.registry.records import Sample as Sample
from platemark.registry.registry import Registry as Registry
