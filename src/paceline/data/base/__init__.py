"""The role of a source, and what sources share."""

from paceline.data.base.source import Batch, Corpus, Examples, LazyImages, Opening, Source

__all__ = ["Batch", "Corpus", "Examples", "LazyImages", "Opening", "Source"]
