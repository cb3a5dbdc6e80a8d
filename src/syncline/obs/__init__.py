"""What operators see of a running process: logs and metrics."""
