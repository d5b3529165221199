"""What everything else stands on: identifiers, clock, errors, the operation table. No I/O; imports nothing of ours."""
