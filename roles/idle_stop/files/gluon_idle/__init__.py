"""Stops the machine when nobody uses it, and saves what can be saved when EC2 takes it back. Standard library only."""
