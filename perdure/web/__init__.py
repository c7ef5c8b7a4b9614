"""The live page and the HTTP API: what people and programs reach with a browser, or curl.

It starts runs, shows them and answers questions through the client, and executes no agent.
"""
