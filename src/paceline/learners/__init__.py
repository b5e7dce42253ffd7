"""Reinforcement learning in tables: pure update rules. A file here is a learner."""
