"""What every learner promises."""
