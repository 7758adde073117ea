"""A desk on a live market: the sockets, and the run that reads them."""
