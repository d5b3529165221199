"""What AWS's framework images do around a user's own script: the training toolkit and the inference toolkit.

Their contract is kept (variables, arguments, entry points, requirements, serving functions), in the server's own Python or in
an environment made for a framework. There nothing but the standard library is installed for certain, so nothing else is
imported here where it is not used.
"""
