"""Questions in other words: files of paraphrases, making them with a chat model, and judging whether they hold."""
