"""A client of the token service with nothing but Python's standard library: client.py ISSUER ID SECRET."""
import base64
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

issuer, client_id, secret = sys.argv[1:]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def call(url, form=None, authorization=None):
    request = urllib.request.Request(url, data=form and urllib.parse.urlencode(form).encode())
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, e.headers, json.load(e)


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


_, _, meta = call(issuer + "/.well-known/openid-configuration")
assert meta["issuer"] == issuer, meta
basic = "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()
status, headers, first = call(meta["token_endpoint"], {"grant_type": "client_credentials", "scope": "catalog"}, basic)
assert status == 200 and headers["Cache-Control"] == "no-store", (status, first)

header, payload, _ = first["access_token"].split(".")
header, payload = decoded(header), decoded(payload)
_, _, keys = call(meta["jwks_uri"])
assert header["typ"] == "at+jwt" and header["kid"] in [k["kid"] for k in keys["keys"]], (header, keys)
assert payload["iss"] == issuer and payload["realm"] == "demo", payload

status, _, second = call(
    meta["token_endpoint"],
    {"grant_type": EXCHANGE, "subject_token": first["access_token"], "subject_token_type": ACCESS_TOKEN},
    "Bearer " + first["access_token"],
)
assert status == 200 and second["issued_token_type"] == ACCESS_TOKEN, (status, second)
again = decoded(second["access_token"].split(".")[1])
assert again["auth_time"] == payload["auth_time"] and again["jti"] != payload["jti"], (payload, again)

status, _, seen = call(meta["introspection_endpoint"], {"token": second["access_token"]}, basic)
assert status == 200 and seen["active"] and seen["jti"] == again["jti"], seen
status, _, _ = call(meta["revocation_endpoint"], {"token": second["access_token"]}, basic)
assert status == 200, status
_, _, seen = call(meta["introspection_endpoint"], {"token": second["access_token"]}, basic)
assert seen == {"active": False}, seen

status, headers, fault = call(meta["token_endpoint"], {"grant_type": "client_credentials"}, "Basic bm9ib2R5Ong=")
assert status == 401 and fault["error"] == "invalid_client" and headers["WWW-Authenticate"].startswith("Basic "), fault
print("all good")
