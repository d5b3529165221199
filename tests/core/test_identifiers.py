"""Access key ids carry their account; derived ids are the same on every call."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.core.identifiers import access_key_id, account_in, account_of_access_key, derived_id


@given(st.integers(0, 10**12 - 1), st.sampled_from(["AKIA", "ASIA"]))
def test_an_access_key_id_carries_its_account(number, prefix):
    account = f"{number:012d}"
    made = access_key_id(prefix, account)
    assert re.fullmatch(rf"{prefix}[A-Z2-7]{{16}}", made)
    assert account_in(made) == account


@pytest.mark.parametrize("text", ["", "test", "111122223333", "AKIA", "AIDAAAAAAAAAAAAAAAAA", "akiaaaaaaaaaaaaaaaaa"])
def test_other_texts_carry_none(text):
    assert account_in(text) is None


def test_only_12_digits_name_an_account():
    assert account_of_access_key("111122223333") == "111122223333"
    assert {account_of_access_key(text) for text in ("1111", "1111222233334", "test", "")} == {"000000000000"}


def test_a_derived_id_is_always_the_same():
    role, other = ("arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b")
    assert derived_id("AROA", role) == derived_id("AROA", role) != derived_id("AROA", other)
    assert re.fullmatch(r"AROA[A-Z2-7]{17}", derived_id("AROA", role))
