"""The command line: one file is one command, which parses, calls one function and prints."""
