"""The command line and everything that places, watches and saves a run."""
