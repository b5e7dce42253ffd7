"""Sources: bytes → examples → batches. A file here is a kind of source."""
