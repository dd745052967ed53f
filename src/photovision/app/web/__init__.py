"""The local page: the product for people who would rather look than type."""
