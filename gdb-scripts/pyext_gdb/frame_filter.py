"""Python in GDB's own backtrace."""


def register():
    """Register the frame filter."""
