"""Install the system on machines without a network."""
