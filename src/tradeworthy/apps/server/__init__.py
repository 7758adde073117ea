"""The inference port: HTTP and WebSocket into the engine's own event loop, where every decision is made."""
