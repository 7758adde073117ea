"""The whole desk on a virtual clock and a disk that fails, from one seed, with its promises checked at the end."""
