"""Floor 0: values, errors, pictures and files. NumPy and Pillow only."""
