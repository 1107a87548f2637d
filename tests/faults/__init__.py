"""`make test-faults`: the whole stack as processes, killed with -9 at the worst moments, and then counted."""
