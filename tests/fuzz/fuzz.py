"""Asks the running service everything its OpenAPI document allows, and much that it does not (Schemathesis).

fuzz.py SCHEMATHESIS BINARY POSTGRES: programs; the last prints the address of a database and runs until its input ends.
FUZZ_EXAMPLES is how many requests of each kind are made to each operation.

On each engine a service begins anew. An admin and an agent of an organization and a super admin each ask everything; what must not
happen is a failure of the service, an answer that the document does not have, or wrong input that is taken.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
PASSWORD = "correct horse battery"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]


class Service:
    """The service on its own data, with its mails in a folder."""

    def __init__(self, binary, folder, database_url):
        self.folder = folder
        environment = {
            "PATH": os.environ["PATH"],
            "PORTTASK_DATA": str(folder),
            "PORTTASK_ADMIN_EMAIL": "ana@platform.example",
            "PORTTASK_ADMIN_PASSWORD": PASSWORD,
            "PORTTASK_MASTER_KEY": "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
            "PORTTASK_INVITATIONS_PER_DAY": "1000000",
        }
        for budget in ["ATTEMPTS", "SESSION", "STRANGERS"]:
            environment[f"PORTTASK_RATE_{budget}"] = "0"
        if database_url:
            environment["DATABASE_URL"] = database_url
            environment["PORTTASK_BLOBS"] = os.path.join(environment["PORTTASK_DATA"], "blobs")
        command = [binary, "serve", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if address := re.match(r"Listening on (http://[^;]+);", line):
                self.url = address[1]
                break
        else:
            raise SystemExit("the service did not start")
        self.log = open(folder / "service.log", "w")
        threading.Thread(target=shutil.copyfileobj, args=(self.process.stderr, self.log), daemon=True).start()

    def post(self, path, body, token=None):
        headers = {"content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def sign_in(self, email):
        return self.post("/v1/sessions", {"email": email, "password": PASSWORD})

    def accept(self, email):
        """Takes up an invitation by its mail; answers whose account it is."""
        for _ in range(200):
            for mail in (self.folder / "mail").glob("*.eml"):
                text = mail.read_text()
                link = re.search(r"/invitation#token=([A-Za-z0-9_-]+)", text)
                if f"<{email}>" in text and link:
                    return self.post("/v1/invitations/accept", {"token": link[1], "password": PASSWORD})
            time.sleep(0.05)
        raise SystemExit(f"no mail came to {email}")

    def people(self):
        """Who asks, each with a token and the organization where they ask, and a user whom they do things to."""
        ana = self.sign_in("ana@platform.example")["token"]
        first_admin = {"name": "Bob Fisher", "email": "bob@acme.example"}
        organization = {"name": "Acme", "domain": "acme.example", "first_admin": first_admin}
        acme = self.post("/v1/organizations", organization, ana)["id"]
        self.accept("bob@acme.example")
        bob = self.sign_in("bob@acme.example")["token"]
        users = "/v1/organizations/current/users"
        for name, role in [("carol", "agent"), ("dan", "agent")]:
            self.post(users, {"name": name, "email": f"{name}@acme.example", "role": role}, bob)
        self.accept("carol@acme.example")
        victim = self.accept("dan@acme.example")["user"]
        carol = self.sign_in("carol@acme.example")["token"]
        # The super admin comes last: they may lock the organization out.
        return [("admin", bob, "current"), ("agent", carol, "current"), ("super-admin", ana, acme)], victim


def fuzz(schemathesis, service, token, parameters, report):
    """Answers whether nothing was found."""
    configuration = service.folder / "schemathesis.toml"
    text = (HERE / "schemathesis.toml").read_text()
    for name, value in parameters.items():
        text = text.replace("{" + name + "}", value)
    configuration.write_text(text)
    command = [schemathesis, "--config-file", configuration, "run", f"{service.url}/openapi.json"]
    # A stream has no end.
    command += ["--exclude-path", "/v1/events/positions"]
    command += ["--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS)]
    command += ["--max-examples", os.environ.get("FUZZ_EXAMPLES", "50"), "--phases", "examples,coverage,fuzzing"]
    command += ["--continue-on-failure", "--suppress-health-check", "all", "--generation-database", "none"]
    with open(report, "w") as out:
        return subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=service.folder).returncode == 0


def main(schemathesis, binary, postgres):
    reports = pathlib.Path("target/fuzz")
    reports.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen([postgres], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    engines = [("sqlite", None), ("postgres", server.stdout.readline().strip())]
    is_clean = True
    for engine, url in engines:
        with tempfile.TemporaryDirectory() as folder:
            service = Service(binary, pathlib.Path(folder), url)
            people, victim = service.people()
            for who, token, organization in people:
                report = reports / f"{engine}-{who}.txt"
                found_nothing = fuzz(schemathesis, service, token, {"org": organization, "user": victim}, report)
                print(f"{engine:9} {who:11} {'clean' if found_nothing else f'see {report}'}", flush=True)
                is_clean &= found_nothing
            service.process.terminate()
            service.process.wait()
    server.stdin.close()
    server.wait()
    return 0 if is_clean else 1


if __name__ == "__main__":
    # Absolute, as they run in folders of their own.
    sys.exit(main(*(str(pathlib.Path(program).absolute()) for program in sys.argv[1:])))
