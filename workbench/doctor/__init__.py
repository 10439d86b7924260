"""What a machine can enforce, and why not more: facts are read, findings follow from them."""
