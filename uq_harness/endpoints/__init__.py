"""OpenAI-compatible endpoints: requests with retries, many at a time, to chat models and to engines that take tokens.

An `Endpoint` is the settings, checked when it is built. A `ChatClient` sends messages, a `TokenClient` bodies of plain
JSON. `ask_yes_no` puts many questions whose answer's first word decides, and keeps the replies in a `ReplyCache`. The
key comes from the environment and goes nowhere but into the request.
"""
