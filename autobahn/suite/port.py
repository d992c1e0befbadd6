#!/usr/bin/env python3
"""Port the WebSocket fuzzing part of autobahntestsuite 25.10.1 (Python 2.7 only)
to Python 3.

usage: port.py WHEEL_DIR SITE_PACKAGES

Reads the unpacked PyPI wheel (or sdist), writes a package `autobahntestsuite` into
SITE_PACKAGES with main.py as its __main__, and applies two fixes to the autobahn 0.10.9 installed there.
Every edit states how many times it must apply; a mismatch is an error, so a
different upstream text can never be ported half-way in silence.
"""
import ast
import os
import re
import shutil
import sys


def die(msg):
    sys.exit("port: " + msg)


def sub(text, old, new, count, where):
    if text.count(old) != count:
        die("%s: expected %d x %r, found %d" % (where, count, old, text.count(old)))
    return text.replace(old, new)


def rsub(text, pattern, new, count, where):
    text, n = re.subn(pattern, new, text, flags=re.M)
    if (n != count) if count is not None else (n == 0):
        die("%s: expected %r x %r, found %d" % (where, count, pattern, n))
    return text


# --------------------------------------------------------------- common syntax

def syntax(text):
    text = re.sub(r"^(\s*)print (?!\()(.+)$", r"\1print(\2)", text, flags=re.M)
    text = re.sub(r"^(\s*)print$", r"\1print()", text, flags=re.M)
    text = re.sub(r"not ([\w.\[\]]+)\.has_key\((\w+|\"[^\"]+\")\)", r"\2 not in \1", text)
    text = re.sub(r"([\w.\[\]]+)\.has_key\((\w+|\"[^\"]+\")\)", r"\2 in \1", text)
    text = re.sub(r"\bxrange\b", "range", text)
    text = text.replace(r"replace('.', '\.')", r"replace('.', '\\.')")
    return text


# ------------------------------------------------ byte strings in the test cases
#
# In Python 2 every '...' is a byte string. Payloads must stay bytes; texts
# (descriptions, results, dictionary keys, timer tags, event names) become str.
# A literal is a payload when it stands
#   1. in a value assigned to a name like payload / PAYLOAD1 / fragments / pings,
#   2. in a keyword argument payload= or reasonUtf8=,
#   3. in the 2nd place of an event ("message"|"ping"|"pong", X, ..),
#   4. in case6_x_x.createUtf8TestSequences: anywhere but the titles,
#   5. in case12_x_x: msg = ''.
# u'' literals (close reasons handed to sendClose as text) stay text.

PAYLOAD_NAME = re.compile(r"^(ping_)?payload\d*$|^fragments$|^pings$|^msg$", re.I)


def payload_nodes(tree, fname):
    out = []

    def take(node):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("encode", "decode"):
            node = node.func            # the codec's name is no payload
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.kind != "u":
            out.append(node)
        for n in ast.iter_child_nodes(node):
            take(n)

    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for t in node.targets:
                name = t.id if isinstance(t, ast.Name) else t.attr if isinstance(t, ast.Attribute) else ""
                if PAYLOAD_NAME.match(name):
                    take(node.value)
        elif isinstance(node, ast.keyword) and node.arg in ("payload", "reasonUtf8"):
            take(node.value)
        elif (isinstance(node, ast.Tuple) and len(node.elts) >= 2
              and isinstance(node.elts[0], ast.Constant)
              and node.elts[0].value in ("message", "ping", "pong")):
            take(node.elts[1])
        elif (fname == "case6_x_x.py" and isinstance(node, ast.FunctionDef)
              and node.name == "createUtf8TestSequences"):
            titles = set()
            for n in ast.walk(node):
                if (isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "vs"):
                    titles.add(n.value.elts[0])
            doc = node.body[0].value
            for n in ast.walk(node):
                if (isinstance(n, ast.Constant) and isinstance(n.value, str)
                        and n is not doc and n not in titles):
                    out.append(n)
    uniq = {}
    for n in out:
        uniq[(n.lineno, n.col_offset)] = n
    return list(uniq.values())


def to_bytes(text, fname):
    raw = text.encode("utf-8")
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    nodes = payload_nodes(ast.parse(text), fname)
    for n in sorted(nodes, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        a = starts[n.lineno - 1] + n.col_offset
        b = starts[n.end_lineno - 1] + n.end_col_offset
        lit = raw[a:b]
        if lit[:1] not in b"'\"" or lit[:3] in (b'"""', b"'''"):
            die("%s:%d: unexpected literal %r" % (fname, n.lineno, lit))
        if all(c < 128 for c in lit):
            new = b"b" + lit
        else:                               # source is UTF-8: same bytes as in Python 2
            new = lit + b'.encode("utf-8")'
        raw = raw[:a] + new + raw[b:]
    return raw.decode("utf-8"), len(nodes)


# ------------------------------------------------------------------ single files

def port_case(text, fname):
    w = "case/" + fname
    text = re.sub(r"^from (case\w*) import", r"from .\1 import", text, flags=re.M)
    text = syntax(text)
    if fname == "__init__.py":
        # 9.9.1 is not in the list of cases upstream either, and needs zope's implements()
        return sub(text, "from .case9_9_1 import *\n", "", 1, w), 0
    # old-style base class
    text = text.replace("(object, Case, )", "(Case, )")
    # b2a_hex() gives bytes now, and is only used to make text
    text = re.sub(r"binascii\.(b2a_hex|hexlify)\(([^()]*)\)", r'binascii.\1(\2).decode("ascii")', text)

    if fname == "case.py":
        # pickles of equal events may differ by object identity
        text = sub(text, "return pickle.dumps(obj1) == pickle.dumps(obj2)",
                   "return obj1 == obj2", 1, w)
    elif fname == "case10_1_1.py":
        text = sub(text, "len(self.payload) / self.p", "len(self.payload) // self.p", 1, w)
    elif fname in ("case6_4_2.py", "case6_4_4.py"):
        text = sub(text, "PAYLOAD[12])", "PAYLOAD[12:13])", 2, w)   # indexing gave a 1-byte string
    elif fname in ("case6_2_1.py", "case6_2_3.py", "case6_2_4.py"):
        text = sub(text, "% (PAYLOAD, ", '% (PAYLOAD.decode("utf-8"), ', 1, w)
    elif fname == "case6_2_2.py":
        text = rsub(text, r"(PAYLOAD[12]), (?=binascii)", r'\1.decode("utf-8"), ', 2, w)
    elif fname == "case6_x_x.py":
        text = text[:text.index("def test_utf8(")] + text[text.index("Case6_X_X = []"):]
        text = text[:text.index("import binascii\nimport array")] \
            if "import binascii\nimport array" in text else text
        text = sub(text, "s += chr(i)", "s += bytes([i])", 2, w)
        text = sub(text, "s += chr(0x20)", "s += bytes([0x20])", 1, w)
    elif fname == "case12_x_x.py":
        text = sub(text, "import copy, os, pkg_resources, hashlib, binascii",
                   "import copy, os, hashlib, binascii\n"
                   "HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))", 1, w)
        text = rsub(text, r'pkg_resources\.resource_filename\("autobahntestsuite", (.+)\)$',
                    r"os.path.join(HERE, \1)", 3, w)
    text, n = to_bytes(text, fname)
    if fname == "case12_x_x.py":
        # for LEN == 0 the slice type decides; upstream's '' is encoded only in the text branch
        text = sub(text, "msg = b''", "msg = payload[:0]", 1, w)
    # joins over payload fragments
    text = text.replace("''.join(fragments", "b''.join(fragments").replace(
        "''.join(self.fragments", "b''.join(self.fragments").replace("bb''", "b''")
    return text, n


def port_fuzzing(text):
    w = "fuzzing.py"
    text = syntax(text)
    text = sub(text, "import os, json, binascii, time, textwrap, pkg_resources",
               "import os, json, binascii, time, textwrap", 1, w)
    text = rsub(text, r"^from (case|caseset|report) import", r"from .\1 import", 3, w)
    text = rsub(text, r'pkg_resources\.resource_filename\("autobahntestsuite",\s*"web/fuzzingserver"\)',
                'os.path.join(os.path.dirname(os.path.abspath(__file__)), "web/fuzzingserver")', 1, w)

    # TLS only where pyOpenSSL is installed; ws:// needs none of it
    text = sub(text, "from twisted.internet import reactor, ssl\n",
               "from twisted.internet import reactor\n"
               "try:\n   from twisted.internet import ssl\nexcept ImportError:\n   ssl = None\n", 1, w)
    text = sub(text, "self.contextFactory = ssl.ClientContextFactory()",
               "self.contextFactory = ssl.ClientContextFactory() if ssl else None", 1, w)

    # log helpers: bytes in, text out
    text = sub(text, "dd = binascii.b2a_hex(data[:maxlen]) + ellipses",
               'dd = binascii.b2a_hex(data[:maxlen]).decode("ascii") + ellipses', 1, w)
    text = sub(text, "      dd = binascii.b2a_hex(data)\n",
               '      dd = binascii.b2a_hex(data).decode("ascii")\n', 1, w)
    text = sub(text, "         dd = data[:maxlen] + ellipses\n",
               "         dd = data[:maxlen] + ellipses.encode('ascii')\n", 1, w)
    text = sub(text, "   except:\n      return '0x' + binLogData(data, maxlen)",
               "   except UnicodeDecodeError:\n      return '0x' + binLogData(data, maxlen)", 1, w)
    text = sub(text, "p = ''.join(payload)", "p = b''.join(payload)", 1, w)
    text = sub(text, "binascii.b2a_hex(frameHeader.mask) if",
               'binascii.b2a_hex(frameHeader.mask).decode("ascii") if', 2, w)
    text = sub(text, "mmask = binascii.b2a_hex(t[6])", "mmask = t[6]", 1, w)

    # results that may hold bytes: make text before they reach JSON / HTML
    text = sub(text, '"localCloseReason": self.localCloseReason,',
               '"localCloseReason": asText(self.localCloseReason),', 1, w)
    text = sub(text, "self.http_request_data if", "asText(self.http_request_data) if", 1, w)
    text = sub(text, "self.http_response_data if", "asText(self.http_response_data) if", 1, w)
    text = sub(text, "def asciiLogData(",
               "def asText(s):\n"
               "   return s.decode('utf8', errors = 'backslashreplace') if isinstance(s, bytes) else s\n\n\n"
               "def asciiLogData(", 1, w)

    # messages the fuzzing server sends as text
    text = sub(text, "self.sendMessage(json.dumps(len(self.factory.specCases)))",
               "self.sendMessage(json.dumps(len(self.factory.specCases)).encode('utf8'))", 1, w)
    text = sub(text, "               'behavior':results['behavior']\n            }))",
               "               'behavior':results['behavior']\n            }).encode('utf8'))", 1, w)
    text = sub(text, "caseClassToPrettyDescription(self.Case),\n         }))",
               "caseClassToPrettyDescription(self.Case),\n         }).encode('utf8'))", 1, w)
    text = sub(text, 'payload = spec.get("payload", ""), payload_len',
               'payload = spec.get("payload", "").encode("UTF-8"), payload_len', 1, w)
    text = sub(text, 'log.msg("Pong received: " + payload)', 'log.msg("Pong received: %r" % payload)', 1, w)

    # reports: text files in UTF-8
    text = rsub(text, r"open\((os\.path\.join\(outdir, report_filename\)), 'w'\)",
                r"open(\1, 'w', encoding = 'utf-8', errors = 'backslashreplace')", 4, w)
    text = sub(text, 'case[c[0]], c[1])).encode("utf-8"))', "case[c[0]], c[1])))", 1, w)
    text = sub(text, "ll.encode('utf8')))", "ll))", 1, w)

    # a fuzzing client that cannot reach the server must not end with exit 0
    text = sub(text, "   def clientConnectionFailed(self, connector, reason):\n",
               "   def clientConnectionFailed(self, connector, reason):\n      self.connectFailed = True\n", 1, w)
    text = sub(text, "def startClient(spec, debug = False):\n   factory = FuzzingClientFactory(spec, debug)\n"
               "   # no connectWS done here, since this is done within\n"
               "   # FuzzingClientFactory automatically to orchestrate tests\n   return True",
               "def startClient(spec, debug = False):\n   return FuzzingClientFactory(spec, debug)", 1, w)
    text = sub(text, "         reactor.listenTCP(webport, web)\n\n   return True",
               "         reactor.listenTCP(webport, web)\n\n   return factory", 1, w)
    return text


INIT = '''"""autobahntestsuite %s, fuzzingclient and fuzzingserver only, ported to Python 3 by port.py"""
from ._version import __version__
version = __version__
'''

def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    src, site = os.path.join(sys.argv[1], "autobahntestsuite"), sys.argv[2]
    dst = os.path.join(site, "autobahntestsuite")
    version = re.search(r'__version__ = "([^"]+)"', open(os.path.join(src, "_version.py")).read())
    if not version or version.group(1) != "25.10.1":
        die("expected autobahntestsuite 25.10.1")
    if os.path.exists(dst):
        shutil.rmtree(dst)
    os.makedirs(os.path.join(dst, "case"))
    for d in ("testdata", "web"):
        shutil.copytree(os.path.join(src, d), os.path.join(dst, d))

    def rd(name):
        with open(os.path.join(src, name), encoding="utf-8", newline="") as f:
            return f.read().replace("\r\n", "\n")

    def wr(name, text):
        compile(text, name, "exec")
        with open(os.path.join(dst, name), "w", encoding="utf-8") as f:
            f.write(text)

    wr("_version.py", rd("_version.py"))
    wr("__init__.py", INIT % version.group(1))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "main.py"), encoding="utf-8") as f:
        wr("__main__.py", f.read())
    wr("fuzzing.py", port_fuzzing(rd("fuzzing.py")))
    wr("caseset.py", syntax(rd("caseset.py")))
    report = sub(rd("report.py"), "import jinja2\n", "", 1, "report.py")
    wr("report.py", report[:report.index("REPORT_DIR_PERMISSIONS")])
    total = 0
    for fname in sorted(os.listdir(os.path.join(src, "case"))):
        if fname.endswith(".py") and fname != "case9_9_1.py":
            text, n = port_case(rd("case/" + fname), fname)
            wr("case/" + fname, text)
            total += n
    print("port: %d payload literals made bytes" % total)

    # autobahn 0.10.9 on Python 3
    p = os.path.join(site, "autobahn", "websocket", "protocol.py")
    with open(p, encoding="utf-8") as f:
        text = f.read()
    for old, new in (
            # repeated payloads (sendFrame payload_len=) divided to a float
            ("range(payload_len / len(payload))", "range(payload_len // len(payload))"),
            # a close reason that is no UTF-8 is already judged (1007); keep it printable
            ("self.remoteCloseReason = reasonRaw.decode('utf8')",
             "self.remoteCloseReason = reasonRaw.decode('utf8', 'backslashreplace')")):
        if new not in text:
            text = sub(text, old, new, 1, "autobahn/websocket/protocol.py")
    with open(p, "w", encoding="utf-8") as f:
        f.write(text)


main()
