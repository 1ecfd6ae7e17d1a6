"""
Hooks for the calls that delete: every second one is given the ids of things that are there, made just before it. What was deleted is
written down, an operation a line, so that it can be seen that each was.
"""

import itertools
import os

import requests
import schemathesis

API = os.environ["TRAILMARK_API"]
SPACE = os.environ["TRAILMARK_SPACE"]
DELETED = os.environ["TRAILMARK_DELETED"]
HEADERS = {"Authorization": f"Bearer {os.environ['TRAILMARK_TOKEN']}"}
numbers = itertools.count()
turns = {}
fresh = set()


def make(path, body):
    response = requests.post(API + path, json=body, headers=HEADERS, timeout=30)
    if not response.ok:
        raise RuntimeError(f"POST {path} was answered {response.status_code}: {response.text[:500]}")
    return response.json()["data"]


def source():
    slug = f"fresh-{next(numbers)}"
    return make("/sources", {"slug": slug, "enabled": True, "metadataId": "http-api", "name": slug})["source"]


def destination():
    mapping = {"url": "http://127.0.0.1:9/hook"}
    body = {"spaceId": SPACE, "metadataId": "webhook", "name": f"Fresh {next(numbers)}"}
    body["subscriptions"] = [{"trigger": 'type = "track"', "mapping": mapping}]
    return make("/destinations", body)["destination"]


def computation(surface):
    key = f"fresh_{next(numbers)}"
    query = "event('A').count()" if surface == "computed-traits" else "event('A').count() >= 1"
    definition = {"type": "USERS", "query": query}
    made = make(f"/spaces/{SPACE}/{surface}", {"key": key, "name": key, "enabled": False, "definition": definition})
    return next(iter(made.values()))


def connected(surface):
    ids = {"spaceId": SPACE, "id": computation(surface)["id"], "destinationId": destination()["id"]}
    make(f"/spaces/{SPACE}/{surface}/{ids['id']}/destinations", {"destinationId": ids["destinationId"]})
    return ids


def connected_source():
    made = source()
    make(f"/spaces/{SPACE}/sources", {"sourceId": made["id"]})
    return {"spaceId": SPACE, "sourceId": made["id"]}


def write_key():
    made = source()
    return {"sourceId": made["id"], "writeKey": made["writeKeys"][0]}


def channel():
    return make("/alert-channels", {"name": f"Fresh {next(numbers)}", "url": "http://127.0.0.1:9/alerts"})["channel"]


def access_token():
    return make("/access-tokens", {"name": f"Fresh {next(numbers)}", "role": "workspace_member"})["accessToken"]


MAKERS = {
    "/access-tokens/{tokenId}": lambda: {"tokenId": access_token()["id"]},
    "/alert-channels/{channelId}": lambda: {"channelId": channel()["id"]},
    "/sources/{sourceId}": lambda: {"sourceId": source()["id"]},
    "/sources/{sourceId}/writekey/{writeKey}": write_key,
    "/destinations/{destinationId}": lambda: {"destinationId": destination()["id"]},
    "/spaces/{spaceId}/sources/{sourceId}": connected_source,
}
for surface in ("audiences", "computed-traits"):
    one = "/spaces/{spaceId}/" + surface + "/{id}"
    MAKERS[one] = lambda surface=surface: {"spaceId": SPACE, "id": computation(surface)["id"]}
    MAKERS[one + "/destinations/{destinationId}"] = lambda surface=surface: connected(surface)


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    turns[path] = turns.get(path, 0) + 1
    if case.operation.method.upper() != "DELETE" or turns[path] % 2 == 1:
        return
    # One that has no maker is found by whoever reads what was deleted.
    if path in MAKERS:
        case.path_parameters = MAKERS[path]()
        fresh.add(case.id)


@schemathesis.hook
def after_call(context, case, response):
    if case.id in fresh and response.status_code == 200:
        with open(DELETED, "a", encoding="utf-8") as file:
            file.write(case.operation.path + "\n")
