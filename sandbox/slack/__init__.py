"""A practice Slack: a page like a channel, really signed requests to the bot, and the Web API that the bot talks to."""
