"""Numbers → learning rate, batch, rollback, stop. A file here is a controller."""
