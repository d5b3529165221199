"""Beside every job host: feeds channels, runs the program, ships its log, uploads its model and leaves the exit record.

It must run on another machine one day: it speaks to the server through its directory and through S3 only, and imports
nothing of the server's storage.
"""
