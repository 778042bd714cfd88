"""Reading images and drawing on them."""
