"""Basket: items that people take from and put into zones of a shelf, with a receipt."""
