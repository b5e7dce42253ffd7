"""What a person asks for: fit, load, predict, evaluate."""
