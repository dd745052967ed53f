"""Visual search: pictures of a folder found again by what they show, and how sure that is."""
