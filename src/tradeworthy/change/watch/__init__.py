"""Follows the growing tape with a version's monitors and keeps what they find."""
