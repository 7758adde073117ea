"""One file a family of figures: its aims, and how they are measured."""
