"""Unequal workers on one model: agents, the scheduler that shares work among them, engines."""
