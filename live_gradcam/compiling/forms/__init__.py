"""The forms of a product, one file for each idea; `form` says what a form is, and `products` lists all."""
