"""Loaded too where agents take local steps: the first optimizer imports a good part of torch."""

import torch

torch.optim.SGD([torch.zeros(1)], lr=0.1)
