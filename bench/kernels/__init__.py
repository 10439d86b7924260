"""Tables of docs/kernels.md, from recorded configurations of distributions' kernels."""
