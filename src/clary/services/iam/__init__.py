"""IAM: users, groups, roles, access keys, policies, and simulation of what they allow."""
