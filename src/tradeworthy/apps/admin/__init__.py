"""The process beside the desk that people talk to: sign-in, an interface for programs, and the page."""
