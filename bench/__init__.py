"""Figures of the converged local machine."""
