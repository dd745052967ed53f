"""Video: sources, reader, writer, tracker, counting, and watching a video with a model. No torch."""
