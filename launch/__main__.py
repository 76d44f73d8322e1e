"""`python -m launch` is `srwm`."""

from launch.cli import main

main()
