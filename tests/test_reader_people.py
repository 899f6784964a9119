"""Who may pass: log-in, roles, CSRF, other sites, foreign names, the proxy, and how guesses are slowed down."""

import datetime as dt

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from microcalc.errors import InputError, ProtocolError
from microcalc.reader.room.people import GuessLimit, Role, add_account
from microcalc.reader.room.room import Room
from microcalc.reader.settings import Proxy, Settings, network_of
from microcalc.reader.store.models import LoginSession
from reader_room import PASSWORD, Guest, Rooms, mammogram

pytest_plugins = ("reader_room_fixtures",)

LOOKS = (
    "/api/me", "/api/study", "/api/exams", "/api/exams/x", "/api/images/x/pixels", "/api/images/x/thumbnail",
    "/api/exams/x/annotations", "/api/annotations/x/history", "/api/exams/x/agreement", "/api/agreement",
    "/api/readings/x", "/api/readings/x/heatmap/ensemble", "/api/readings/x/heatmaps", "/api/audit", "/api/accounts",
)  # fmt: skip
CHANGES = (
    ("POST", "/api/logout"), ("POST", "/api/uploads"), ("POST", "/api/images/x/annotations"),
    ("PUT", "/api/annotations/x"), ("DELETE", "/api/annotations/x"), ("POST", "/api/annotations/x/reading"),
    ("POST", "/api/exams/x/done"), ("POST", "/api/exams/search"), ("POST", "/api/accounts"), ("PUT", "/api/accounts/x"),
)  # fmt: skip


def test_without_a_cookie_nothing_is_shown_and_nothing_changed(rooms: Rooms, room: Room):
    stranger = rooms.guest(room).http
    for path in LOOKS:
        assert stranger.get(path).status_code == 401, path
    for method, path in CHANGES:
        assert stranger.request(method, path).status_code == 401, path


def test_every_route_is_tried_by_the_tests_of_strangers(room: Room):
    known = {*LOOKS, *(path for _, path in CHANGES), "/api/login", "/api/token"}
    plain = {path.replace("/x", "/{}").replace("ensemble", "{}") for path in known}
    for route in room.app.routes:  # type: ignore[attr-defined]
        path = getattr(route, "path", "")
        if path.startswith("/api/") and path not in ("/api/annotations/{annotation_id}",):
            pattern = "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
            assert pattern in plain, f"{path} is not tried"


def test_the_printed_address_logs_in_once(rooms: Rooms, room: Room):
    url = room.token_url
    first = rooms.guest(room).http.get(url, follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    second = rooms.guest(room).http.get(url, follow_redirects=False)
    assert second.status_code == 403
    assert "used once" in second.json()["error"]
    assert rooms.guest(room).by_token().me["role"] == "admin"


def test_the_cookie_is_not_for_scripts_nor_other_sites_and_only_its_hash_is_kept(rooms: Rooms, room: Room):
    header = rooms.guest(room).http.get(room.token_url, follow_redirects=False).headers["set-cookie"]
    assert "HttpOnly" in header
    assert "SameSite=strict" in header
    assert "Secure" not in header
    value = header.split("=", 1)[1].split(";")[0]
    held = b"".join(path.read_bytes() for path in room.settings.data.glob("store.sqlite*"))
    assert value.encode() not in held


def test_with_tls_the_cookie_goes_over_tls_only(rooms: Rooms):
    room = rooms.open(https=True)
    answer = rooms.guest(room).http.get(f"/api/token?token={room.token.value}", follow_redirects=False)
    assert answer.headers["set-cookie"].startswith("__Host-microcalc-")
    assert "Secure" in answer.headers["set-cookie"]
    assert "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize(("headers", "status"), [({"X-Background": "1"}, 401), ({}, 200)])
def test_a_session_that_only_its_page_uses_ends_in_time(owner: Guest, headers: dict[str, str], status: int):
    for hours, expected in ((11, 200), (2, status)):
        with owner.room.store.writing() as session:
            session.scalars(select(LoginSession)).one().seen -= dt.timedelta(hours=hours)
        assert owner.http.get("/api/exams", headers=headers).status_code == expected


def test_a_change_without_the_csrf_token_is_refused(owner: Guest):
    for value in (None, "", "guess"):
        headers = {} if value is None else {"X-CSRF": value}
        owner.http.headers.pop("X-CSRF", None)
        answer = owner.http.post("/api/uploads", files={"files": mammogram()}, headers=headers)
        assert answer.status_code == 403
        assert "X-CSRF" in answer.json()["error"]
    assert owner.get("/api/exams") == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_post_from_another_site_is_refused_even_with_the_token(owner: Guest, headers: dict[str, str]):
    answer = owner.http.post("/api/uploads", files={"files": mammogram()}, headers=headers)
    assert answer.status_code == 403
    assert owner.http.post("/api/login", json={"name": "a", "password": "b"}, headers=headers).status_code == 403
    assert owner.get("/api/exams") == []


def test_a_foreign_name_that_points_here_gets_nothing(owner: Guest):
    answer = owner.http.get("/api/exams", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "name" in answer.json()["error"]
    assert owner.http.get("/", headers={"Host": "evil.example:8765"}).status_code == 400
    assert owner.http.get("/api/exams", headers={"Host": "localhost:8765"}).status_code == 200
    assert owner.http.get("/api/exams", headers={"Host": "[::1]:8765"}).status_code == 200


def test_a_reader_reaches_neither_accounts_nor_the_log_and_the_try_is_logged(rooms: Rooms, room: Room):
    anna = rooms.account(room, "anna")
    for path in ("/api/accounts", "/api/audit"):
        assert anna.get(path, 403)["error"] == "only an administrator may do that"
    made = anna.http.post("/api/accounts", json={"name": "eve", "role": "admin", "password": PASSWORD})
    assert made.status_code == 403
    own = anna.http.put(f"/api/accounts/{anna.me['id']}", json={"role": "admin"})
    assert own.status_code == 403
    log = rooms.guest(room).by_token().get("/api/audit")["entries"]
    assert [entry["action"] for entry in log if entry["account"] == "anna"].count("refused") == 4


def test_an_administrator_makes_and_closes_accounts(rooms: Rooms, owner: Guest, room: Room):
    made = owner.post("/api/accounts", {"name": "Anna", "password": PASSWORD})
    assert (made["name"], made["role"]) == ("anna", "reader")
    anna = rooms.guest(room).by_password("ANNA")
    assert owner.http.put(f"/api/accounts/{made['id']}", json={"active": False}).json()["active"] is False
    assert anna.http.get("/api/me").status_code == 401
    answer = rooms.guest(room).http.post("/api/login", json={"name": "anna", "password": PASSWORD})
    assert answer.status_code == 401


def test_the_last_administrator_remains(owner: Guest):
    answer = owner.http.put(f"/api/accounts/{owner.me['id']}", json={"role": "reader"})
    assert answer.status_code == 422
    assert "one administrator must remain" in answer.json()["error"]


def test_logging_out_ends_the_session_and_empties_the_browsers_cache(owner: Guest):
    answer = owner.http.post("/api/logout")
    assert answer.status_code == 204
    assert '"cache"' in answer.headers["clear-site-data"]
    assert owner.http.get("/api/me").status_code == 401


def test_an_idle_session_ends(rooms: Rooms):
    room = rooms.open(session_hours=0.0)
    guest = rooms.guest(room)
    guest.http.get(room.token_url, follow_redirects=False)
    assert guest.http.get("/api/me").status_code == 401


def test_passwords_are_kept_as_argon2_and_short_ones_refused(room: Room):
    with room.store.writing() as session:
        account = add_account(session, "anna", Role.READER, PASSWORD)
        assert account.password.startswith("$argon2id$")
        with pytest.raises(InputError, match="at least 12 characters; this one has 5"):
            add_account(session, "berta", Role.READER, "short")
        with pytest.raises(InputError, match="given once"):
            add_account(session, "Anna", Role.READER, PASSWORD)
        with pytest.raises(InputError, match="1 to 64 letters"):
            add_account(session, "<script>", Role.READER, PASSWORD)


def test_wrong_passwords_are_slowed_down_and_a_right_one_with_them(rooms: Rooms, room: Room):
    with room.store.writing() as session:
        add_account(session, "anna", Role.READER, PASSWORD)
    stranger = rooms.guest(room).http
    for _ in range(room.guesses.per_pair):
        answer = stranger.post("/api/login", json={"name": "anna", "password": "wrong password"})
        assert answer.status_code == 401
    late = stranger.post("/api/login", json={"name": "Anna ", "password": PASSWORD})
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) > 100
    assert "wait" in late.json()["way_out"]


def test_an_unknown_name_is_answered_like_a_wrong_password(rooms: Rooms, room: Room):
    with room.store.writing() as session:
        add_account(session, "anna", Role.READER, PASSWORD)
    stranger = rooms.guest(room).http
    wrong = stranger.post("/api/login", json={"name": "anna", "password": "wrong password"})
    unknown = stranger.post("/api/login", json={"name": "nobody", "password": "wrong password"})
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())


def test_guesses_are_counted_by_address_and_by_name():
    limit = GuessLimit(per_address=3, per_pair=2, per_name=4, seconds=60)
    for name in ("a", "b", "c"):
        limit.failed("one", name)
    assert limit.wait("one", "d") > 0
    assert limit.wait("two", "d") == 0
    for address in ("p", "q", "r"):
        limit.failed(address, "a")
    assert limit.wait("fresh", "a") > 0
    assert limit.wait("fresh", "b") == 0


def behind(rooms: Rooms, **settings: object) -> Room:
    proxy = Proxy((network_of("10.1.0.0/16"),), "X-Remote-User")
    room = rooms.open(proxy=proxy, token_login=False, https=True, names=("testserver",), **settings)
    with room.store.writing() as session:
        add_account(session, "anna", Role.READER, "")
    return room


def test_a_trusted_proxy_says_who_it_is(rooms: Rooms, monkeypatch: pytest.MonkeyPatch):
    room = behind(rooms)
    headers = {"X-Remote-User": "anna", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    anna = rooms.guest(room)
    anna.http = _from(room, "10.1.2.3")
    me = anna.http.get("/api/me", headers=headers)
    assert me.json()["name"] == "anna"
    assert "Secure" in me.headers["set-cookie"]
    anna.http.headers["X-CSRF"] = me.json()["csrf"]
    assert anna.http.post("/api/uploads", files={"files": mammogram()}, headers=headers).status_code == 200
    other = anna.http.get("/api/exams", headers=headers | {"X-Remote-User": "berta"})
    assert other.status_code == 403
    assert anna.http.get("/api/exams").status_code == 401


@pytest.mark.parametrize("sent", ["jürgen".encode(), "JÜRGEN".encode(), b"ju\xcc\x88rgen", b"j\xfcrgen"])
def test_a_proxy_may_name_people_with_letters_outside_ascii(rooms: Rooms, sent: bytes):
    room = behind(rooms)
    with room.store.writing() as session:
        add_account(session, "Ju\u0308rgen", Role.READER, "")
    me = _from(room, "10.1.2.3").get("/api/me", headers={"X-Remote-User": sent})
    assert (me.status_code, me.json()["name"]) == (200, "j\u00fcrgen")


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, rooms: Rooms) -> Guest:
    """Somebody logged in to a room on each kind of database."""
    url = request.getfixturevalue("postgresql").database() if request.param == "postgresql" else ""
    return rooms.guest(rooms.open(database=url)).by_token()


def test_a_zero_character_is_refused_wherever_it_stands(anywhere: Guest):
    image = anywhere.image()
    posts = {
        "/api/login": {"name": "an\0na", "password": "correct horse battery"},
        "/api/accounts": {"name": "an\0na", "password": "correct\0horse battery"},
        f"/api/images/{image}/annotations": {"row": 1, "col": 1, "note": "a\0b"},
        "/api/exams/search": {"search": "\0"},
        f"/api/images/{image}%00/annotations": {"row": 1, "col": 1},
        "/api/pacs/query": {"patient": "a\0"},
    }
    for path, body in posts.items():
        assert anywhere.http.post(path, json=body).status_code in (404, 422), path
    for path in ("/api/exams/a%00b", "/api/readings/%00", "/api/images/%00/pixels"):
        assert anywhere.http.get(path).status_code == 404, path
    assert anywhere.http.get("/api/token?token=%00").status_code == 400
    said = anywhere.http.post("/api/login", json={"name": "an\0na", "password": ""}).json()["error"]
    assert "name: must be text without zero characters" in said


def test_the_identity_header_of_anybody_else_is_not_believed(rooms: Rooms):
    room = behind(rooms)
    stranger = _from(room, "203.0.113.9")
    assert stranger.get("/api/me", headers={"X-Remote-User": "anna"}).status_code == 401
    proxy = _from(room, "10.1.2.3")
    twice = [("X-Remote-User", "anna"), ("X-Remote-User", "berta")]
    assert proxy.get("/api/me", headers=twice).status_code == 401


def _from(room: Room, address: str):
    return TestClient(room.app, base_url="https://127.0.0.1", client=(address, 4711), raise_server_exceptions=False)


def test_settings_refuse_what_lets_strangers_in(tmp_path):
    with pytest.raises(ProtocolError, match=r"must stay on this machine; .* 0\.0\.0\.0"):
        Settings(study=None, data=tmp_path, host="0.0.0.0")
    with pytest.raises(ProtocolError, match="must come from a trusted proxy"):
        Settings(study=None, data=tmp_path, proxy=Proxy((), "X-Remote-User"))
    with pytest.raises(ProtocolError, match=r"10\.0\.0\.0/24; got 'proxy'"):
        network_of("proxy")


def test_every_answer_binds_the_browser(owner: Guest):
    for path in ("/", "/api/me", "/api/nothing", "/api/exams"):
        headers = owner.http.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert owner.http.get("/api/exams").headers["cache-control"] == "no-store"


def test_the_page_is_served_and_nothing_beside_it(owner: Guest, room: Room):
    assert owner.http.get("/").headers["content-type"].startswith("text/html")
    for path in ("/../room.py", "/%2e%2e/room.py", "/..%2froom.py", "/room.py", "/static/../../room.py", "/%00.js", "/"
                 + "a" * 3000 + ".js", "/....//room.py", "/index.html/../../room.py", "//etc/passwd.txt"):  # fmt: skip
        answer = owner.http.get(path)
        assert answer.status_code in (400, 404), path
        assert "import" not in answer.text
