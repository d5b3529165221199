"""Keys that this server issued: the root key, IAM users' access keys, and session keys of roles and users.

Access keys are rows, because SigV4 can only be verified with the secret itself. Session keys are not stored: the session
token says whose session it is and until when, authenticated with a key of the server, and the secret is derived from that
key and the access key id. So they cost no write, survive a restart, and end by themselves.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from clary.core.identifiers import DEFAULT_ACCOUNT, Scope, access_key_id, derived_id
from clary.core.service import Identity
from clary.gateway.auth.claim import AuthenticationFailed
from clary.gateway.auth.refusals import Reason
from clary.services.iam.rows import ACCESS_KEY, NOWHERE, ROLE, USER, find_role, home, insert_access_key

if TYPE_CHECKING:
    from clary.storage.resources import ResourceStore, Transaction

SERVER_SECRET = "gateway-secret"
"""The kind of the rows that belong to the server itself: the key of session tokens, and which access key is root's."""
_TOKEN_PREFIX = "clary."
_ROLE_ARN = re.compile(r"arn:(aws[\w-]*):iam::(\d{12}):role/(?:.+/)?([\w+=,.@-]+)")
_ISSUED = re.compile(r"A[KS]IA[A-Z2-7]{16}")


@dataclass(frozen=True, slots=True)
class Credential:
    """A key that this server issued, and whose it is. `expires` is seconds since the epoch, 0 for never."""

    access_key: str
    secret: str
    identity: Identity
    expires: float = 0


class Keys:
    """Looks up and issues keys."""

    def __init__(self, resources: ResourceStore):
        self._resources = resources
        self._server_key = b""
        self._strict = False
        self._remembered: dict[str, Credential] = {}
        self._present: set[tuple[str, str]] = set()
        self._session = lru_cache(maxsize=4096)(self._read_token)

    async def open(self, *, strict: bool) -> tuple[str, str] | None:
        """Load the server's own key. In strict mode also make the root key, once; returns it (id, secret) when it is new."""
        self._strict = strict
        return await self._resources.write(lambda transaction: self._prepare(transaction, strict))

    def _prepare(self, transaction: Transaction, strict: bool) -> tuple[str, str] | None:
        row = transaction.get(SERVER_SECRET, NOWHERE, "sessions") or transaction.insert(
            SERVER_SECRET,
            NOWHERE,
            "sessions",
            arn="clary:sessions",
            document={"Key": secrets.token_hex(32)},
            created=time.time(),
        )
        self._server_key = bytes.fromhex(row.document["Key"])
        if not strict or transaction.get(SERVER_SECRET, NOWHERE, "root") is not None:
            return None
        access_key, secret = access_key_id("AKIA", DEFAULT_ACCOUNT), secrets.token_urlsafe(30)
        insert_access_key(transaction, DEFAULT_ACCOUNT, None, access_key, secret, time.time())
        root = {"AccessKeyId": access_key}
        transaction.insert(SERVER_SECRET, NOWHERE, "root", arn="clary:root", document=root, created=time.time())
        return access_key, secret

    def find(self, access_key: str, token: str | None) -> Credential | None:
        """The issued key, or None when it is not one of ours. Raises `AuthenticationFailed` for forged and expired tokens."""
        if token is not None and token.startswith(_TOKEN_PREFIX):
            return self._find_session(access_key, token)
        if not _ISSUED.fullmatch(access_key):
            return None
        known = self._remembered.get(access_key)
        if known is None and (known := self._find_access_key(access_key)) is not None:
            self._remembered[access_key] = known
        return known

    def forget(self) -> None:
        """Access keys or their owners may have changed."""
        self._remembered.clear()
        self._present.clear()

    def _find_access_key(self, access_key: str) -> Credential | None:
        row = self._resources.get(ACCESS_KEY, NOWHERE, access_key)
        if row is None or row.status != "Active":
            return None
        identity = self._owner(row.document, access_key)
        return Credential(access_key, row.state["Secret"], identity) if identity else None

    def _owner(self, document: dict[str, Any], access_key: str) -> Identity | None:
        account = document["AccountId"]
        if "UserName" not in document:
            return Identity(account, f"arn:aws:iam::{account}:root", "root", access_key, account)
        user = self._resources.get(USER, home(account), document["UserName"])
        return Identity(account, user.arn, "user", access_key, user.state["UserId"]) if user else None

    def _find_session(self, access_key: str, token: str) -> Credential:
        credential = self._session(token)
        if credential.access_key != access_key:
            raise AuthenticationFailed(Reason.BAD_TOKEN, "The security token belongs to another access key")
        if credential.expires < time.time():
            raise AuthenticationFailed(Reason.EXPIRED_TOKEN, "The security token included in the request is expired")
        if not self._is_there(credential.identity):
            whose = f"a {credential.identity.kind} that has been deleted"
            raise AuthenticationFailed(Reason.BAD_TOKEN, f"The security token belongs to {whose}")
        return credential

    def _is_there(self, identity: Identity) -> bool:
        """Whether the user or role of a session exists: that one, and not another that got the name later.

        In open mode roles need not exist.
        """
        if identity.kind == "user":
            return self._has(USER, identity.account, identity.arn, "UserId", identity.user_id)
        if identity.kind == "role" and self._strict:
            return self._has(ROLE, identity.account, identity.role_arn, "RoleId", identity.user_id.partition(":")[0])
        return True

    def _has(self, kind: str, account: str, arn: str, id_member: str, id_: str) -> bool:
        """Whether there is a user or role with this ARN and unique id; remembered until IAM changes."""
        if (arn, id_) in self._present:
            return True
        name = arn.rpartition("/")[2]
        row = find_role(self._resources, account, name) if kind == ROLE else self._resources.get(kind, home(account), name)
        if row is None or row.arn != arn or row.state[id_member] != id_:
            return False
        self._present.add((arn, id_))
        return True

    def _read_token(self, token: str) -> Credential:
        payload, _, mark = token.removeprefix(_TOKEN_PREFIX).partition(".")
        if not hmac.compare_digest(self._mark(payload).encode(), mark.encode()):
            raise AuthenticationFailed(Reason.BAD_TOKEN, "The security token included in the request is invalid")
        content = orjson.loads(base64.urlsafe_b64decode(payload))
        identity = Identity(**content["identity"])
        return Credential(identity.access_key, self._secret_of(identity.access_key), identity, content["expires"])

    def _mark(self, payload: str) -> str:
        return hmac.digest(self._server_key, b"token:" + payload.encode(), "sha256").hex()

    def _secret_of(self, access_key: str) -> str:
        return base64.b64encode(hmac.digest(self._server_key, b"secret:" + access_key.encode(), "sha256")).decode()[:40]

    def issue_session(self, identity: Identity, seconds: float) -> dict[str, Any]:
        """Session credentials of `identity` in STS's form: AccessKeyId, SecretAccessKey, SessionToken, Expiration."""
        access_key, expires = access_key_id("ASIA", identity.account), time.time() + seconds
        content = {"identity": asdict(identity) | {"access_key": access_key}, "expires": expires}
        payload = base64.urlsafe_b64encode(orjson.dumps(content)).decode()
        return {
            "AccessKeyId": access_key,
            "SecretAccessKey": self._secret_of(access_key),
            "SessionToken": f"{_TOKEN_PREFIX}{payload}.{self._mark(payload)}",
            "Expiration": datetime.fromtimestamp(expires, UTC),
        }

    def session_of_role(self, role_arn: str, session_name: str) -> Identity:
        """Who somebody is that has assumed the role. Raises `ValueError` when `role_arn` is not the ARN of a role."""
        account, name = split_role_arn(role_arn)
        role = find_role(self._resources, account, name)
        return role_session(role_arn, session_name, role.state["RoleId"] if role else derived_id("AROA", role_arn))

    async def for_role(self, role_arn: str, session_name: str, scope: Scope, seconds: float) -> dict[str, Any]:
        """Session credentials of a role, as a service that runs something with it gets them. Raises `ValueError`."""
        return self.issue_session(self.session_of_role(role_arn, session_name), seconds)


def split_role_arn(role_arn: str) -> tuple[str, str]:
    """Account and name of a role. Raises `ValueError` when it is not the ARN of a role."""
    match = _ROLE_ARN.fullmatch(role_arn)
    if match is None:
        raise ValueError(f"{role_arn!r} is not the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)")
    return match[2], match[3]


def role_session(role_arn: str, session_name: str, role_id: str) -> Identity:
    """The identity of a session of a role. Raises `ValueError` when `role_arn` is not the ARN of a role."""
    account, name = split_role_arn(role_arn)
    arn = f"arn:{role_arn.split(':')[1]}:sts::{account}:assumed-role/{name}/{session_name}"
    return Identity(account, arn, "role", user_id=f"{role_id}:{session_name}", role_arn=role_arn)
