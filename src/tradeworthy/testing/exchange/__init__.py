"""An exchange of one's own on this machine: a real WebSocket server that speaks like a public one, with faults."""
