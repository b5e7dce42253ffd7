"""Networks, built from a task's Signature. A file here is a network."""
