"""The Slack door (Bolt): grammar, blocks, identity, listeners, outbox. Must not touch media, recorder or other doors."""
