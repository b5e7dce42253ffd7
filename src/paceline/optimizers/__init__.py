"""Update rules that torch lacks. A file here is a `torch.optim.Optimizer`."""
