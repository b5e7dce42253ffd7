"""The role of a source, and what sources share."""

from paceline.data.base.locate import open_source
from paceline.data.base.pictures import fit_image
from paceline.data.base.source import Batch, Corpus, Examples, LazyImages, Opening, Source
from paceline.data.base.split import Parts, split

__all__ = [
    "Batch",
    "Corpus",
    "Examples",
    "LazyImages",
    "Opening",
    "Parts",
    "Source",
    "fit_image",
    "open_source",
    "split",
]
