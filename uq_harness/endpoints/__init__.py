"""Chat models behind an OpenAI-compatible endpoint: requests with retries, many at a time, and yes/no questions.

An `Endpoint` is the settings, checked when it is built. A `ChatClient` sends requests; `ask_yes_no` puts many questions
whose answer's first word decides, and keeps the replies in a `ReplyCache`. The key comes from the environment and goes
nowhere but into the request.
"""
