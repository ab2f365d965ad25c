"""Products and carts over HTTP."""
