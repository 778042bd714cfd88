"""Documents: pages as typeset, and what lies, is written or is printed on them besides stamps."""
