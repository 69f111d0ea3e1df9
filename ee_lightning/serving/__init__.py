"""A model behind HTTP, for many clients at once; needs the extra ``serve``, and no torch for exported models."""
