"""Start runs beyond this machine: SLURM, `ray up`, KubeRay, and nodes without internet."""
