"""The filter pattern language, mostly by the examples of the CloudWatch Logs user guide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.languages.filter_patterns import FilterPatternError, compile_pattern

BAD_REQUEST = "[ERROR 400] BAD REQUEST"
EVENT = """{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another"], "n": 3.5,
 "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null, "ThisFlag": true, "s": "7"}"""
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything", True),
        ("ERROR", BAD_REQUEST, True),
        ("error", BAD_REQUEST, False),
        ("ERROR REQUEST", BAD_REQUEST, True),
        ("ERROR TRACE", BAD_REQUEST, False),
        ('"ERROR 400"', BAD_REQUEST, True),
        ('"400 ERROR"', BAD_REQUEST, False),
        ("?ERROR ?WARN", "WARN 1", True),
        ("?ERROR ?WARN", "INFO 1", False),
        ("ERROR -400", BAD_REQUEST, False),
        ("ERROR -401", BAD_REQUEST, True),
        ('-"BAD REQUEST"', BAD_REQUEST, False),
        ("?ERROR INFO", "INFO only", False),
        (r'"say \"hi\""', 'they say "hi"', True),
        ('{ $.eventType = "UpdateTrail" }', EVENT, True),
        ("{ $.eventType = UpdateTrail }", EVENT, True),
        ('{ $.sourceIPAddress != "123.123.*" }', EVENT, True),
        ('{ $.sourceIPAddress = "111.*" }', EVENT, True),
        ('{ $.arrayKey[0] = "value" }', EVENT, True),
        ('{ $.arrayKey[*] = "another" }', EVENT, True),
        ('{ $.arrayKey[7] = "value" }', EVENT, False),
        ("{ $.objectList[1].id = 2 }", EVENT, True),
        ("{ $.SomeObject IS NULL }", EVENT, True),
        ("{ $.SomeOtherObject NOT EXISTS }", EVENT, True),
        ("{ $.SomeObject not exists }", EVENT, False),
        ("{ $.ThisFlag IS TRUE }", EVENT, True),
        ("{ $.ThisFlag IS FALSE }", EVENT, False),
        ("{ $.n > 3 && $.n <= 3.5 }", EVENT, True),
        ("{ $.n >= 4 || $.s = 7 }", EVENT, True),
        ('{ ($.n < 1 || $.n = 3.5) && $.eventType = "Up*" }', EVENT, True),
        ("{ $.n < 1 || $.n = 3.5 && $.eventType = No }", EVENT, False),
        ("{ $.n > 3 }", "not json", False),
        ("{ $.n = 1e400 }", '{"n": 1}', False),
        ("[ip, user, username, timestamp, request, status_code, bytes]", ACCESS, True),
        ("[ip, user, username]", ACCESS, False),
        ("[..., status_code=404, bytes]", ACCESS, True),
        ("[..., status_code=4*, bytes > 1000]", ACCESS, True),
        ('[ip, user, username, timestamp, request = "*.html*", status_code = 4*, bytes]', ACCESS, True),
        ("[ip, ..., status_code = 5* || status_code = 404, bytes]", ACCESS, True),
        ("[ip != 127.0.0.1, ...]", ACCESS, False),
        ("[w1=ERROR, w2]", "ERROR 5", True),
        ("[w1!=ERROR&&w1!=%WARN, w2]", "INFO 5", None),
        ("[w1!=ERROR&&w1!=WARN, w2]", "INFO 5", True),
        ("[a, b]", "one", False),
        ("[a, ..., b]", "one two", True),
        ("[a, b]", 'x ""', True),
        ('{ $.eventType = "*date*ai*" }', EVENT, True),
        ('{ $.eventType = "Up*da*il*Trail" }', EVENT, False),
        ("{ " + "(" * 500 + "$.a = 1" + ")" * 500 + " }", "", None),
        ("{ $.a = 1", "", None),
        ("[a, b", "", None),
        ("[]", "", None),
        ("[..., a, ...]", "", None),
        ("{ $.a }", "", None),
        ("{ a = 1 }", "", None),
        ("{ $.a = 1 $.b = 2 }", "", None),
        ("{ $.a > x }", "", None),
        ("{ ($.a = 1 }", "", None),
        ("%ERR.*%", "", None),
        ('"open', "", None),
    ],
)
def test_examples(pattern, message, expected):
    """None: the pattern is refused."""
    if expected is None:
        with pytest.raises(FilterPatternError):
            compile_pattern(pattern)
    else:
        assert compile_pattern(pattern)(message) is expected


@given(pattern=st.text(alphabet='ab$.*[]{}()=<>!&|"\\, ?-%1', max_size=30), message=st.text(max_size=30))
def test_any_text_is_a_pattern_or_refused(pattern, message):
    try:
        matches = compile_pattern(pattern)
    except FilterPatternError:
        return
    assert matches(message) in (True, False)
