"""`live-gradcam serve`, as a person starts it: with a network, and what is refused before anything slow."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import environment, run, start
from page_server import SECONDS, TOKEN, Client, jpeg
from websockets.sync.client import connect

from live_gradcam import SessionOptions, serve
from live_gradcam.errors import LiveGradcamError, OutputError, SourceError, UsageError
from live_gradcam.serving.addresses import is_open, own_names, page_address
from live_gradcam.serving.certificates import own_certificate
from live_gradcam.serving.options import ServeOptions, ViewerOptions
from live_gradcam.serving.server.listening import listen


@pytest.fixture
def serving(quick_network: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = start("serve", "--port", "0", *quick_network, LIVE_GRADCAM_TOKEN=TOKEN)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_person_serves_and_stops(serving: subprocess.Popen[str]) -> None:
    """The address comes first, the network answers, and SIGTERM ends it with the exit code of an interruption."""
    assert serving.stdout is not None
    line = serving.stdout.readline()
    found = re.fullmatch(rf"The page is at http://127\.0\.0\.1:(\d+)/\?token={TOKEN}\n", line)
    assert found is not None
    assert serving.stdout.readline() == "Whoever has the address gets in. Ctrl-C ends it.\n"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with connect(f"ws://127.0.0.1:{found[1]}/ws", additional_headers=headers, max_size=None) as connection:
        client = Client(connection)
        while (ready := client.receive())["type"] != "ready":  # type: ignore[index,call-overload]
            pass
        assert isinstance(ready, dict)
        assert ready["input"] == {"height": 96, "width": 96}
        picture = np.zeros((90, 160, 3), np.uint8)
        picture[:, 80:] = 255
        client.send_frame(cv2.imencode(".jpg", picture)[1].tobytes())
        answer = client.answer()
        assert answer.facts["frame"] == {"width": 160, "height": 90}
        names = [prediction["label"] for prediction in answer.facts["explanation"]["predictions"]]
        assert sorted(names) == ["blue", "green", "grey", "red", "yellow"]
        maps = answer.facts["maps"]
        assert len(answer.maps) == maps["count"] * maps["height"] * maps["width"] > 0
        client.send(type="command", name="pin", argument=2)
        client.until("state", lambda state: [one["index"] for one in state["state"]["pinned"]] == [2])
        client.send_frame(jpeg(128, (90, 160)))
        assert client.answer().facts["explanation"]["target_label"] == "blue"
        serving.send_signal(signal.SIGTERM)
        assert client.until("bye")["reconnect"] is True
        assert serving.wait(SECONDS) == 130
    assert serving.stderr is not None
    assert serving.stderr.read() == ""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs signals and /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_while_they_start_ends_it_as_later(
    quick_network: list[str], number: signal.Signals
) -> None:
    """As a terminal sends it, or `timeout`: not even a process that has just been started dies of it."""
    with subprocess.Popen(
        [sys.executable, "-m", "live_gradcam", "serve", "--port", "0", "--workers", "2", *quick_network],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(children.read_text().split()) < 3:  # the workers, and what keeps account of `multiprocessing`
            time.sleep(0.001)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (130, "")


@pytest.mark.slow
def test_a_name_is_refused_at_once() -> None:
    finished = run("serve", "--view", "overly")
    assert finished.code == 2
    assert finished.err == "live-gradcam: there is no view 'overly'; did you mean overlay?\n"


def test_what_python_is_refused(tmp_path: Path) -> None:
    for options, told in [
        (ServeOptions(keyfile=tmp_path / "key.pem"), "a certificate has a key: give both --certfile and --keyfile"),
        (ServeOptions(host="192.0.2.77"), "--host 192.0.2.77 is no address of this machine"),
        (ServeOptions(port=70000), "--port is 70000: give a number from 0 to 65535"),
        (ServeOptions(max_clients=0), "--max-clients is 0: give a number from 1 on"),
        (
            ServeOptions(workers=2, cluster="local"),
            "--workers are processes of this machine, and --cluster uses others",
        ),
        (
            ServeOptions(hosts=("http://x.example/path",)),
            "--allow-host http://x.example/path is an address: give the name alone",
        ),
        (
            ServeOptions(hosts=("x.example:8443",)),
            "--allow-host x.example:8443 is no name of a machine: give the name alone, without a port",
        ),
        (
            ServeOptions(hosts=("x example",)),
            "--allow-host x example is no name of a machine",
        ),
        (ServeOptions(workers=0), "--workers is 0: give a number from 1 on"),
        (ServeOptions(viewer=ViewerOptions(smooth=-1)), "--smooth is -1 s: give a time from 0 on"),
        (ServeOptions(viewer=ViewerOptions(colormap="plaid")), "there is no colour map 'plaid'"),
        (
            ServeOptions(token="has spaces and is long"),
            "the token must have letters (A to Z, a to z), digits, - and _ alone",
        ),
        (ServeOptions(token="short_-"), "the token must have at least 16 letters and digits"),
    ]:
        with pytest.raises(UsageError, match=re.escape(told)):
            serve(options=options)
    with pytest.raises(UsageError, match="there is no method 'grad-cm'"):
        serve(session=SessionOptions(method="grad-cm"))
    with pytest.raises(UsageError, match="--fit native compiles the network"):
        serve(session=SessionOptions(fit="native"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"^--keep .*file is a file: give a folder$"):
        serve(options=ServeOptions(keep=tmp_path / "file"))
    with pytest.raises(SourceError, match=r"nothing\.mp4"):
        serve([tmp_path / "nothing.mp4"], options=ServeOptions(port=0))


def test_names_that_are_allowed_are_those_that_a_browser_asks_for() -> None:
    given = ServeOptions(hosts=(" lab.example ", "[::1]", "192.168.1.5", "Pi_4.local"))
    given.check()
    assert given.hosts == ("lab.example", "::1", "192.168.1.5", "Pi_4.local")


def test_an_address_of_ipv6_may_be_in_brackets() -> None:
    assert ServeOptions(host="[::1]").host == "::1"
    assert page_address(ServeOptions(host="[::1]"), 8000, TOKEN).local == f"http://[::1]:8000/?token={TOKEN}"


@pytest.mark.skipif(not sys.platform.startswith("linux") or not socket.has_ipv6, reason="needs IPv6, as Linux has it")
def test_an_address_that_is_on_each_interface_is_blamed_and_not_the_port() -> None:
    with pytest.raises(
        UsageError, match=r"^--host fe80::1 needs its network interface after it, such as fe80::1%eth0$"
    ):
        listen("fe80::1", 0)


def test_a_port_that_is_taken() -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LiveGradcamError, match=f"port {port} is taken by another program") as caught:
            serve(options=ServeOptions(port=port))
        assert caught.value.exit_code == 1


def test_a_missing_package_is_named_before_anything_slow() -> None:
    program = """
import sys
from importlib.machinery import PathFinder
found = PathFinder.find_spec
hidden = ("uvicorn", "segno")
PathFinder.find_spec = classmethod(lambda cls, name, *rest: None if name in hidden else found(name, *rest))
sys.argv = ["live-gradcam", "serve", "nothing.mp4"]
from live_gradcam.cli import main
try:
    main()
finally:
    print("tensorflow" in sys.modules, "starlette" in sys.modules)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=False
    )
    assert finished.returncode == 2
    assert finished.stderr == "live-gradcam: serve needs segno, uvicorn: pip install 'live-gradcam[serve]'\n"
    assert finished.stdout == "False False\n"


def test_addresses() -> None:
    here = page_address(ServeOptions(), 8000, TOKEN)
    assert here.local == f"http://127.0.0.1:8000/?token={TOKEN}"
    assert here.others == ()
    assert here.at_localhost == f"http://localhost:8000/?token={TOKEN}"
    around = page_address(ServeOptions(host="0.0.0.0", https=True, hosts=("lab.example",)), 8443, TOKEN)
    assert around.local == f"https://localhost:8443/?token={TOKEN}"
    assert around.others[0] == f"https://lab.example:8443/?token={TOKEN}"
    assert (around.is_secure, around.has_own_certificate) == (True, True)
    assert page_address(ServeOptions(host="::1"), 1, TOKEN).local == f"http://[::1]:1/?token={TOKEN}"
    assert [is_open(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost")] == [False] * 4
    assert [is_open(host) for host in ("0.0.0.0", "::", "192.168.1.5", "lab")] == [True] * 4
    assert own_names(ServeOptions()) == ["127.0.0.1"]


def test_what_to_do_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from live_gradcam.cli.serve import _lines

    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert _lines(page_address(ServeOptions(), 8000, TOKEN)) == [
        f"The page is at http://127.0.0.1:8000/?token={TOKEN}",
        "Whoever has the address gets in. Ctrl-C ends it.",
    ]
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 50000 10.0.0.5 22")
    monkeypatch.setenv("USER", "ann")
    lines = _lines(page_address(ServeOptions(), 8000, TOKEN))
    assert "- run there: ssh -L 8000:localhost:8000 ann@10.0.0.5" in lines
    assert f"  and open there: http://localhost:8000/?token={TOKEN}" in lines
    secure = _lines(page_address(ServeOptions(host="10.0.0.5", https=True), 8000, TOKEN))
    assert secure[1] == f"On other machines: https://10.0.0.5:8000/?token={TOKEN}"
    assert not any("ssh" in line for line in secure)
    assert any("/ca.pem" in line for line in secure)


@pytest.mark.slow
def test_files_that_are_no_certificate_are_refused_before_the_page_is_announced(
    tmp_path: Path, quick_network: list[str]
) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nothing", "utf-8")
    files = "--certfile", tmp_path / "cert.pem", "--keyfile", tmp_path / "key.pem"
    refused = run("serve", "--port", "0", *files, *quick_network)
    assert (refused.code, refused.out) == (2, "")
    assert re.fullmatch(r"live-gradcam: --certfile and --keyfile cannot be used \(.*\): give a .*\n", refused.err)


def test_a_certificate_is_for_the_names_that_it_can_be_for(tmp_path: Path) -> None:
    """Some machines have a name with an underscore, which no certificate can have."""
    with own_certificate(["my_host", "lab.example"], tmp_path / "https") as own:
        decoded: Any = ssl._ssl._test_decode_cert(str(own.certificate))  # type: ignore[attr-defined]
    assert ("DNS", "lab.example") in decoded["subjectAltName"]
    assert ("DNS", "my_host") not in decoded["subjectAltName"]


def test_what_listens_on_ipv4_has_no_addresses_of_ipv6() -> None:
    assert not [name for name in own_names(ServeOptions(host="0.0.0.0")) if ":" in name]


def test_a_phone_installs_the_certificate_once(tmp_path: Path) -> None:
    """The authority is the same at the next start; its key is for this user alone; a certificate is for some weeks."""
    authorities = []
    for _ in range(2):
        with own_certificate(["lab.example", "192.168.1.5"], tmp_path / "https") as own:
            authorities.append(own.authority)
            decoded: Any = ssl._ssl._test_decode_cert(str(own.certificate))  # type: ignore[attr-defined]
            names = {name for _, name in decoded["subjectAltName"]}
            assert {"localhost", "127.0.0.1", "lab.example", "192.168.1.5"} <= names
            days = (ssl.cert_time_to_seconds(decoded["notAfter"]) - time.time()) / 86400
            assert 89 < days < 91
            made = own.key
            assert made.stat().st_mode & 0o077 == 0 or made.parent.stat().st_mode & 0o077 == 0
        assert not made.exists()
    assert authorities[0] == authorities[1]
    assert (tmp_path / "https" / "authority-key.pem").stat().st_mode & 0o777 == 0o600
    (tmp_path / "https" / "authority-key.pem").write_text("broken")
    with pytest.raises(LiveGradcamError, match="remove this folder"), own_certificate([], tmp_path / "https"):
        pass


def test_over_https(tmp_path: Path) -> None:
    """With the certificate that was made here, for whoever trusts its authority, and for nobody else."""
    from page_server import running_server

    with running_server(https=True) as server:
        trusting, doubting = ssl.create_default_context(), ssl.create_default_context()
        status, _, authority = server.ask("/ca.pem", context=None)
        assert status == 200
        trusting.load_verify_locations(cadata=authority.decode())
        uri, headers = f"wss://localhost:{server.port}/ws", {"Authorization": f"Bearer {TOKEN}"}
        with connect(uri, additional_headers=headers, ssl=trusting) as connection:
            client = Client(connection)
            assert client.explained(99).facts["brightness"] == 99
        with pytest.raises(ssl.SSLCertVerificationError), connect(uri, additional_headers=headers, ssl=doubting):
            pass
        status, answer, _ = server.ask(f"/?token={TOKEN}", context=trusting)
        assert answer["set-cookie"].endswith("; Secure")


_SCRIPT = """
from live_gradcam import ServeOptions, serve

serve(options=ServeOptions(port={port}))
"""


def test_a_script_without_its_guard_is_told_so(tmp_path: Path) -> None:
    """The process that explains imports it, and would serve a page of its own."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    script = tmp_path / "page.py"
    script.write_text(_SCRIPT.format(port=port), "utf-8")
    ended = subprocess.run(
        [sys.executable, script], env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.count('put what serves under if __name__ == "__main__":') == 1
    assert f"port {port} is taken" not in ended.stderr
