"""`clary demo`."""

from __future__ import annotations

import re


def test_the_demo_ends_with_a_real_accuracy_and_leaves_nothing_behind(clary, tmp_path):
    """Also on a machine with a proxy and with a profile that does not exist: neither matters for a server on this machine."""
    strays = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "AWS_PROFILE": "nobody"}
    shown = clary("demo", TMPDIR=str(tmp_path), **strays)
    assert shown.returncode == 0, shown.stderr
    assert float(re.search(r"accuracy ([\d.]+)", shown.stdout)[1]) > 0.93
    assert float(re.search(r"AUC ([\d.]+)", shown.stdout)[1]) > 0.97
    assert not list(tmp_path.glob("clary-demo-*"))
