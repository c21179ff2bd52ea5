"""The core of ErrorMap Studio: everything but the window, usable from Python and from the command line."""

__version__ = "0.1.0"
