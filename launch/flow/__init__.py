"""The parts of a run and how they work together, wherever they are placed."""
