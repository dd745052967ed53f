"""Products on shelves, recognised by searching a catalogue for every object that a detector finds."""
