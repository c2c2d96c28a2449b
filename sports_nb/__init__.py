"""Estimate, recognise and predict sports motion from video, in a notebook."""

__version__ = "0.1.0"
