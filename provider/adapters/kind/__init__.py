"""The runtime `kind`: whole clusters as containers, made by the kind command."""
