"""Find and read licence plates and stamps in images."""
