"""Labels: wrong ones, outliers, and how well annotators agree."""
