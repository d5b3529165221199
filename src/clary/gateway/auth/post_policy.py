"""Browser forms that upload to S3: the signature is over the form's `policy`, and stands in fields beside it.

What the policy allows (expiration, conditions) is S3's business; here it is only settled who signed it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from clary.gateway.auth import presigned_v2, signature_v4
from clary.gateway.auth.claim import AuthenticationFailed, Claim, parse_amz_date
from clary.gateway.auth.refusals import Reason


def claim_of(fields: Mapping[str, str]) -> Claim | None:
    """The claim in a form's fields (lower-case names); None when it is not signed. Raises `AuthenticationFailed`."""
    token = fields.get("x-amz-security-token")
    if "x-amz-signature" in fields:
        if fields.get("x-amz-algorithm") != signature_v4.ALGORITHM:
            raise AuthenticationFailed(Reason.INCOMPLETE, f"the field x-amz-algorithm must be {signature_v4.ALGORITHM}")
        access_key, date, region, service = signature_v4.split_credential(fields.get("x-amz-credential", ""))
        time = parse_amz_date(fields.get("x-amz-date", ""))
        return Claim("form", access_key, fields["x-amz-signature"], time, token, date, region, service)
    if "signature" in fields and "awsaccesskeyid" in fields:
        return Claim("form-v2", fields["awsaccesskeyid"], fields["signature"], token=token, service="s3")
    return None


def check_signature(claim: Claim, policy: str, secret: str) -> None:
    """Whether `secret` signed the policy (base64, as the form has it). Raises `AuthenticationFailed`."""
    expected = presigned_v2.sign(policy, secret) if claim.form == "form-v2" else signature_v4.sign(policy, secret, claim)
    if not policy or claim.service != "s3" or not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise AuthenticationFailed(Reason.MISMATCH, "The signature of the form does not match its policy.")
