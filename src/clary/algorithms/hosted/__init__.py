"""Train and serve programs that translate the hosted service's jobs and requests to the library; run in job processes only."""
