"""IAM: users, groups, roles, access keys, policies, and simulation of what they allow."""

from __future__ import annotations

from clary.core.service import Platform


def resources(platform: Platform) -> list[object]:
    """The service's resource classes."""
    from clary.services.iam.access_keys import AccessKeys
    from clary.services.iam.account import Account
    from clary.services.iam.groups import Groups
    from clary.services.iam.instance_profiles import InstanceProfiles
    from clary.services.iam.policies import ManagedPolicies
    from clary.services.iam.roles import Roles
    from clary.services.iam.simulation import Simulation
    from clary.services.iam.users import Users

    kinds = (Users, Groups, Roles, AccessKeys, ManagedPolicies, InstanceProfiles, Simulation, Account)
    return [kind(platform) for kind in kinds]
