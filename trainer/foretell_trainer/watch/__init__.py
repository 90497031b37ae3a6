"""The watch: how answers do in the world, per group, and what is to be said about it."""
