"""Trains PyTorch models with agents that set their own pace."""

__version__ = "0.1.0"
