"""Agents in simulated time: scenarios, the world that they describe, and who knows it all."""
