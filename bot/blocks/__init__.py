"""Block Kit as pure functions: values in, JSON out. No clock, no Slack client, no state."""
