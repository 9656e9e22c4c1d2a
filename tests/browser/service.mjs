// A service of its own for each file of tests: on the embedded engine, with a new data folder, on a free port.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const PORTTASK = path.resolve(ROOT, process.env.PORTTASK ?? "target/debug/porttask");
export const PASSWORD = "correct horse battery staple";
const WAIT_MS = 30_000;

/** Calls `look` until it returns something. */
export const until = async (what, look) => {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${WAIT_MS / 1000} s`);
    await new Promise(done => setTimeout(done, 50));
  }
};

/** Starts the service. Its first output says where it listens, and the link with which the first super admin is created. */
export const start = async (settings = {}) => {
  // mkdtemp creates folders of mode 0700, whatever the umask is; the service refuses wider ones.
  const folder = await mkdtemp(path.join(tmpdir(), "porttask-browser-"));
  const inherited = Object.entries(process.env).filter(([name]) => !/^(PORTTASK|DATABASE_URL)/.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    PORTTASK_DATA: folder,
    // Tests request more pages in a minute than people do.
    PORTTASK_RATE_SESSION: "0", PORTTASK_RATE_STRANGERS: "0", PORTTASK_RATE_ATTEMPTS: "0",
    ...settings,
  };
  const child = spawn(PORTTASK, ["serve", "--listen", "127.0.0.1:0"], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "", exit;
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", text => (output += text));
  let isStopping = false;
  const ended = new Promise(done => child.on("error", done).on("exit", (...how) => done(how))).then(how => {
    exit = true;
    if (!isStopping) console.error(`the service has ended: ${how}\n${output}`);
  });
  const [setupLink, url] = await until("the start of the service", () => {
    if (exit) throw new Error(`${PORTTASK} did not start: ${output}`);
    const link = /^(http\S*\/setup#token=\S+)/m.exec(output), listening = /^Listening on (http:\/\/[^;\s]+)/m.exec(output);
    return link && listening && [link[1], listening[1]];
  });
  const run = async (...args) => (await promisify(execFile)(PORTTASK, args, { cwd: folder, env })).stdout;
  return {
    url, setupLink, folder,
    /** The newest email to an address whose text matches; emails are written a moment after the request. */
    mail: (to, wanted = /./) => until(`an email to ${to}`, async () => {
      const mail = await run("mail", "last", "--to", to, "--json").then(JSON.parse, () => undefined);
      return mail && wanted.test(mail.text) && mail;
    }),
    stop: async () => {
      isStopping = true;
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true });
    },
  };
};

/** The link in an email. */
export const linkIn = mail => /http\S+#token=\S+/.exec(mail.text)[0];

/** Calls the API, and returns the body of its answer. */
const call = async (url, method, address, body, token, more) => {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }), ...more };
  const answer = await fetch(`${url}/v1${address}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${address}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
};

/** A service with a super admin (Ana), an organization with an admin (Bob), and users in it. */
export const startWithUsers = async (names = ["Cleo Tanaka", "Dana Petrova", "Émile Åström"], settings = {}) => {
  const service = await start(settings);
  const { url } = service;
  const api = (...args) => call(url, ...args);
  const token = link => link.split("#token=")[1];
  const address = name => `${name.normalize("NFKD").replace(/[^a-zA-Z ]/g, "").toLowerCase().replace(" ", ".")}@nordsee.example`;
  const ana = "ana@platform.example", bob = "bob@nordsee.example";
  const setup = await api("POST", "/setup", { token: token(service.setupLink), name: "Ana Souza", email: ana, password: PASSWORD, sign_in: true });
  const staff = setup.session.token;
  const { id: organization } = await api("POST", "/organizations", {
    name: "Nordsee Ship Agency", domain: "nordsee.example", first_admin: { name: "Bob Fisher", email: bob },
  }, staff);
  const accept = async email => {
    const mail = await service.mail(email);
    return api("POST", "/invitations/accept", { token: token(linkIn(mail)), password: PASSWORD, sign_in: true });
  };
  const admin = (await accept(bob)).session.token;
  const users = {};
  for (const [index, name] of names.entries()) {
    const user = { name, email: address(name), role: index % 2 ? "read_only" : "agent" };
    user.id = (await api("POST", "/organizations/current/users", user, admin)).id;
    users[name.split(" ")[0]] = user;
  }
  /** Imports a CSV file as a dry run, and returns the id of the job when it is done. */
  const dryRun = async csv => {
    const headers = { "content-type": "text/csv", authorization: `Bearer ${admin}` };
    const answer = await fetch(`${url}/v1/organizations/current/users/import?dry_run=true`, { method: "POST", headers, body: csv });
    const { id } = await answer.json();
    const job = () => api("GET", `/organizations/current/jobs/${id}`, undefined, admin);
    await until("the end of the import", async () => (await job()).state === "done");
    return id;
  };
  return { ...service, api, accept, import: dryRun, organization, users, staff, admin, ana, bob };
};
