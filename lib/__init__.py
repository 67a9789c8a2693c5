"""Withstand: does a self-supervised vision encoder still work when the images change?

Rooms, from left to right; each imports only rooms to its left::

    images -> views -> models -> methods -> training -> runs -> figures, claims
                     shifts --------------> measures ---^
"""

__version__ = "0.1.0"
