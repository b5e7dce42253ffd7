"""Scenarios played with policies, without a process: the result and its page."""
