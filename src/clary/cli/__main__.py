"""`python -m clary.cli`: the command line where its script is not on the PATH."""

from clary.cli import main

main()
