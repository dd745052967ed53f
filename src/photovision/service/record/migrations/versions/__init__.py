"""The steps, oldest first; what has been released is never changed."""
