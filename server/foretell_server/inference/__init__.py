"""The Open Inference Protocol, version 2: another way in to the same predictions."""
