"""Evaluate and trace trained networks; repeat an update that was not finite."""
