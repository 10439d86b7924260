"""Rubicante, CPU admission: reserves servers core by core and makes the kernel keep them."""
