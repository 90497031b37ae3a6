"""What operators see of a running server: meters, the metrics page, traces."""
