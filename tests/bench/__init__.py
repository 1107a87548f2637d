"""`make bench`: what the product costs beside a bare baseline, in one run."""
