"""What is learnt: images, tables, tensors. A file here is a task."""
