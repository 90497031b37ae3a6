"""How fast the server answers, beside what limits it and beside its peers."""
