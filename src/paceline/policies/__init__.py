"""Scheduling policies: how a round's examples are shared among unequal agents."""
