"""What a run can be configured with, and where that is read from."""
