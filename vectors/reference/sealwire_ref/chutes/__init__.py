"""The profile chutes-v1 (compat-chutes.md, cited as C): both roles."""
