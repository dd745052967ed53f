"""The engine: every verb once, blind to tasks. It resolves a task's parts by name, and imports no task."""
