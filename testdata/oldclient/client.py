"""A client of the person API as they were written for CIS v2.

    client.py SERVICE TOKEN_ENDPOINT CLIENT_ID CLIENT_SECRET AUDIENCE

It gets a token with a form, reads the discovery document and takes the first key
of each publisher, pages through everybody with the objects that the service gives
back, printed as Python prints them, and verifies every signature with python-jose,
which knows nothing of what is signed here. It prints what it counted as JSON.
"""

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

from jose import jws

THREE_DECIMALS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
CONTAINERS = ("identities", "staff_information", "access_information")


def main(service, token_endpoint, client_id, client_secret, audience):
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "audience": audience,
    }
    with urllib.request.urlopen(token_endpoint, urllib.parse.urlencode(form).encode()) as r:
        answer = json.load(r)
    assert answer["token_type"] == "Bearer" and answer["expires_in"] > 0
    headers = {"Authorization": "Bearer " + answer["access_token"]}

    def get(path):
        with urllib.request.urlopen(urllib.request.Request(service + path, headers=headers)) as r:
            return json.load(r)

    well_known = get("/.well-known/mozilla-iam")
    keys = {p: v["keys"][0] for p, v in well_known["api"]["publishers_jwks"].items()}
    person = well_known["api"]["endpoints"]["person"]
    assert person.rstrip("/") == service, person

    count = {"people": 0, "signatures": 0, "unsigned": 0, "pages": 0}
    seen = set()
    next_page = None
    while True:
        query = "?active=any"
        if next_page is not None:
            query += "&nextPage=" + urllib.parse.quote(str(next_page))
        page = get("/v2/users" + query)
        count["pages"] += 1
        for profile in page["Items"]:
            uuid = profile["uuid"]["value"]
            assert uuid not in seen, "somebody is there twice"
            seen.add(uuid)
            count["people"] += 1
            verify(profile, keys, count)
        next_page = page["nextPage"]
        if next_page is None:
            break
        json.dumps(next_page["id"])

    # The ways in which clients encode what they ask for.
    for user in get("/v2/users/id/all")["users"][:20]:
        once = urllib.parse.quote(user["user_id"], safe="")
        for value in (once, urllib.parse.quote(once, safe="")):
            assert get("/v2/user/user_id/" + value)["uuid"]["value"] == user["uuid"]
    try:
        urllib.request.urlopen(service + "/v2/users")
        raise AssertionError("nobody needs a token")
    except urllib.error.HTTPError as e:
        assert e.code == 401 and json.load(e)["code"] == "authorization_header_missing"
    print(json.dumps(count))


def verify(profile, keys, count):
    attributes = {k: v for k, v in profile.items() if k != "schema" and k not in CONTAINERS}
    for c in CONTAINERS:
        attributes.update({c + "." + k: v for k, v in profile[c].items()})
    for path, attribute in attributes.items():
        mark = attribute["signature"]["publisher"]
        value = attribute["value"] if "value" in attribute else attribute["values"]
        if value is None:
            count["unsigned"] += 1
            continue
        payload = jws.verify(mark["value"], keys[mark["name"]], algorithms=["RS256"])
        signed = json.loads(payload)
        # A Rust client writes dates anew before it compares, and always so.
        for name in ("created", "last_modified"):
            assert THREE_DECIMALS.match(signed["metadata"][name]), path
        shown = {k: v for k, v in attribute.items() if k != "signature"}
        assert signed == shown, path
        count["signatures"] += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
