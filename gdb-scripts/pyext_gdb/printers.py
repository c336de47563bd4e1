"""Printers for values of C types that are Python objects."""


def register():
    """Register the printers."""
