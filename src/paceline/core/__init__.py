"""Words that every room shares: errors, readings, decisions, ledger, recipe. Imports no torch."""
