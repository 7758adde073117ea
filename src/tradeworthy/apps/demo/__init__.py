"""The whole story told once, on real prices, from the first look at the data to the proof of the record."""
