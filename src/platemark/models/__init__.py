"""Models: their cards, where they are found, and the runtime that runs them."""
