"""The browsers' WebSocket door and the fan-out of events. docs/protocol.md is its contract."""
