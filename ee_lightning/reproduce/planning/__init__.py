"""What there is to do for a suite: which runs it needs, what each is known by, and how far it is."""
