"""What the engine does beside the limit of the same work, measured in one run. `python -m bench` prints the table."""
