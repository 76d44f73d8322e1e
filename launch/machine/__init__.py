"""What this machine has, what the parts cost on it, and how many workers it takes."""
