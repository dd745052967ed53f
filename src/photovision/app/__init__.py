"""Floor 7: what people touch: the command line and the pages it writes."""
