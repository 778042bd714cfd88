"""The faces of the library: they translate, the work is done by one library call."""
