"""What the page shows: each view is a pure function from what was read to HTML."""
