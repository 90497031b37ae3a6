"""Several items on one device: which strategy, with what timeline and memory."""
