"""Code that every process must run identically."""
