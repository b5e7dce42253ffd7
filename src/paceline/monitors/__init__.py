"""Numbers read off a step. A file here is a monitor."""
