"""OpenAI's Responses, stateless, over chat completions: parsing, translation, answers, events."""
