"""Accuracy and calibration on six data sets, split by split, beside simpler models."""
