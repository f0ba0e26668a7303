"""Inputs that once found something, by target."""

LINE: tuple[bytes, ...] = ()

_DEEP = b".".join([b"a"] * 1500)
TOML = (
    b"\xef\xbb\xbf[station]\n",
    b"a = \xff\n",
    b"a = 0x" + b"f" * 6000 + b"\n",
    b"a = " + b"[" * 5000 + b"]" * 5000 + b"\n",
    b"a." + _DEEP + b" = 1\n",
)
CHART = (
    b"[[row]]\nposition." + _DEEP + b" = 1\n",
    b"[[row]]\nposition = 0x" + b"f" * 6000 + b"\n",
)
"""What `str` can't say: it is nested too deeply, or has too many digits."""
_STATION = b'[[station]]\nmodel = "48A"\nswitch = "B"\nname.' + _DEEP + b" = 1\n"
SCENARIO = (b"[scenario]\nduration_s = 1\n" + _STATION + _STATION,)
"""Two names that can't be compared."""
SITE = (
    b"node = [{}, 3]\n[[station]]\n",
    b'site = 1\n[[node]]\nname = "a"\nkind = "panel"\nparent = "a"\n',
)
YIELDED = tuple(
    b'{"yielded_to": %s, "switch": 11}' % number for number in (b"-1", b"281474976710656", b"1e300", b'"-1"')
)
"""Numbers that are no serial."""
_OFFER = (
    b'{"boot":"b","t_s":%s,"wall":%s,"clock":"","station":"%s","event":"offer","offered_a":1,"limit_a":1,"reason":%s}\n'
)
EVENTS = (
    _OFFER % (b"0", b"null", b"s1", b"5"),
    _OFFER % (b"0", b'"9999-12-31T00:00:00Z"', b"s1", b'"share"') + _OFFER % (b"9e9", b"null", b"s1", b'"share"'),
    _OFFER % (b"0", b"null", b"\\ud800", b'"share"'),
    b'{"boot":"b","t_s":0,"station":"s1","event":"session","energy_wh":1' + b"0" * 400 + b"}\n",
)
_ATTACH = b'{"do":"attach","station":"s1"}\n{"do":"refresh","drops":0}\n'
_PLUG = b'{"do":"plug","station":"s1","vehicle":{"name":"car","%s":%s}}\n'
REQUESTS = (
    _ATTACH + b'{"do":[],"drops":0}\n',
    _ATTACH + b'{"do":"light","colour":"red","blinks":["x"]}\n',
    _ATTACH + b'{"do":"light","colour":"red","blinks":[[]]}\n',
    _PLUG % (b"battery_kwh", b"0"),
    _PLUG % (b"ramp_step_a", b"0"),
)
ANSWERS = (b"\n", b"[]\n", b"nonsense\n", b"{}\n")
COMMAND_LINES = (b"tap\0\0\n",)
_CHARGES, _IDLES, _DRAWS_UNASKED = (
    b"\0\x1f\0\x08\x01\x02\x18\0",
    b"\0\x1f\0\0\0\x04\x21\0",
    b"\0\x1f\0\0\x01\x02\x18\0",
)
_NEVER_CONFIRMS = (
    b'\x02\x1f\x03\0\0\x03%\xb2\x01\x1f\0(&\x03#\xd3\0\x1f\0\0\0\0"\xbb\0\x1f\xff\x18\0\x06\x1ak'
    b"\0\x1f\x18\x18\0\x06#\xec\x02\x1f\xff(\xff\x04\x0c\xc9\0\x1f\x18\x18\0\x07#4"
)
REPORTS = (_CHARGES + _IDLES + _DRAWS_UNASKED, _NEVER_CONFIRMS)
"""A vehicle that draws without an offer, after it had settled on one and idled; grants that change and are never
confirmed: the book grew with each."""
