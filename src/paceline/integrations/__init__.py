"""Thin adapters to other libraries, each importable alone."""
