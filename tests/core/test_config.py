"""The configuration file: what it may say, and the message for what it may not."""

from __future__ import annotations

import pytest

from clary.core.config import load


def test_a_file_under_options(tmp_path):
    file = tmp_path / "clary.toml"
    file.write_text('port = 1\nhosts = ["a.example"]\ntls = true\njob_retention_days = 7\ndata = "/somewhere"\n')
    config = load(file, port=2, auth=None)
    assert (config.port, config.hosts, config.tls, config.job_retention_days) == (2, ("a.example",), True, 7)
    assert (str(config.data), config.auth) == ("/somewhere", "open")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('port = "4566"', "port in .*clary.toml must be a whole number; got '4566'"),
        ("port = true", "port in .* must be a whole number"),
        ("port = 65536", "port must be between 0 and 65535"),
        ("tls_port = -1", "tls_port must be between 0 and 65535"),
        ('allow_reset = "false"', "allow_reset in .* must be true or false; got 'false'"),
        ('hosts = "a.example"', "hosts in .* must be a list of texts"),
        ("region = 1", "region in .* must be text in quotes"),
        ("job_retention_days = -1", "job_retention_days must not be negative"),
        ("log_retention_days = nan", "log_retention_days must not be negative"),
        ("capacity_cpus = 1.5", "capacity_cpus in .* must be a whole number"),
        ('durability = "slow"', "durability must be one of full, fast"),
        ("prot = 1", "unknown setting 'prot' in .*clary.toml; known settings: allow_reset"),
        ("port = [", "clary.toml is not TOML"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path, line, message):
    file = tmp_path / "clary.toml"
    file.write_text(line)
    with pytest.raises(ValueError, match=message):
        load(file)
