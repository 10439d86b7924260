"""Returns everything that rubicante holds on a node: kernel, book, published state."""
