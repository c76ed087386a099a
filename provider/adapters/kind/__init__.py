"""The runtime `kind`: whole clusters as containers, made by the kind command.

Never here: how an engine is called (provider.adapters.engine), and decisions about when to do something.
"""
