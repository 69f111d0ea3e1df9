"""What the rows of a suite reach on its finished runs."""
