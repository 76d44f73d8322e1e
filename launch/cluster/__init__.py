"""Run the parts as Ray actors, on one machine or many."""
