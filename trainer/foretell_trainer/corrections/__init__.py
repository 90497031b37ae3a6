"""What was reported since the last fit, and how answers follow it at once."""
