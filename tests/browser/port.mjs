// The port: files with their types, tags and rules for the browser, health, and who may open a WebSocket.
import { Chat, equal, startElsewhere } from "./harness.mjs";
import { ask, blank, upgrade } from "./raw.mjs";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What a page sees when it opens a WebSocket: "open", or the close code. */
const tryToOpen = (page, url) =>
  page.evaluate(
    (where) =>
      new Promise((resolve) => {
        const socket = new WebSocket(where);
        socket.onopen = () => {
          resolve("open");
          socket.close();
        };
        socket.onclose = ({ code }) => resolve(code);
      }),
    url,
  );

/** The files that a page loads, by their paths and what the browser takes them for, out of the HTML and the scripts. */
async function filesOf(address, path, seen = new Map()) {
  if (seen.has(path)) return seen;
  const { status, headers, body } = await ask(address, path);
  seen.set(path, { status, headers, body });
  const text = body.toString();
  const named = [
    ...text.matchAll(/(?:href|src)="(\/[^"]*\.(?:css|js|svg|png|ico))"/g),
    ...text.matchAll(/(?:from|import)\s*"\.?(\/[^"]+\.js)"/g),
  ];
  for (const [, next] of named) await filesOf(address, next, seen);
  return seen;
}

export async function port(topic, { browser, program }) {
  const { check, now } = topic;
  const chat = await Chat.start(topic, program);
  const { address } = chat;
  const origin = address.slice(0, -1);

  const files = new Map([...(await filesOf(address, "/")), ...(await filesOf(address, "/live"))]);
  const types = {
    js: "text/javascript; charset=utf-8",
    css: "text/css; charset=utf-8",
    svg: "image/svg+xml",
    "": "text/html; charset=utf-8",
  };
  await now("both pages load files, and all of them are there", () => {
    equal(
      ["/style.css", "/chat.js", "/protocol.js", "/wire.js", "/live.js"].filter((path) => !files.has(path)),
      [],
    );
    equal(
      [...files].filter(([, { status }]) => status !== 200).map(([path]) => path),
      [],
    );
  });
  await now("every file says its type", () =>
    equal(
      [...files].map(([path, { headers }]) => [path, headers["content-type"]]),
      [...files.keys()].map((path) => [path, types[/(?:\.(\w+))?$/.exec(path)[1] ?? ""]]),
    ),
  );
  await now("every file has the rules for the browser", () => {
    for (const [path, { headers }] of files) {
      equal(
        [
          path,
          headers["content-security-policy"],
          headers["x-content-type-options"],
          headers["referrer-policy"],
          headers["cache-control"],
        ],
        [path, POLICY, "nosniff", "no-referrer", "no-cache"],
      );
    }
  });
  await now("no file has a script or a style within its HTML", () => {
    for (const path of ["/", "/live"])
      equal(
        files
          .get(path)
          .body.toString()
          .match(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/g),
        null,
      );
  });
  await now("every file has a tag of its own", () => {
    const tags = [...files.values()].map(({ headers }) => headers.etag);
    equal([tags.every((tag) => /^"[^"]+"$/.test(tag)), new Set(tags).size], [true, tags.length]);
  });
  await now("who has the file gets 304, without it", async () => {
    for (const [
      path,
      {
        headers: { etag },
      },
    ] of files) {
      for (const tags of [etag, `"other", W/${etag}`, "*"]) {
        const { status, headers, body } = await ask(address, path, { headers: { "If-None-Match": tags } });
        equal([path, tags, status, headers.etag, body.length], [path, tags, 304, etag, 0]);
      }
    }
  });
  await now("who has another one gets the whole file", async () => {
    const { status, body } = await ask(address, "/chat.js", { headers: { "If-None-Match": `"other"` } });
    equal([status, body.equals(files.get("/chat.js").body)], [200, true]);
  });
  await now("HEAD is GET without the body", async () => {
    for (const [
      path,
      {
        headers: wanted,
        body: { length },
      },
    ] of files) {
      const { status, headers, body } = await ask(address, path, { method: "HEAD" });
      equal(
        [path, status, headers["content-type"], headers.etag, headers["content-length"], body.length],
        [path, 200, wanted["content-type"], wanted.etag, String(length), 0],
      );
    }
  });
  await now("/healthz is 200 and ok, by GET and HEAD", async () => {
    const [got, head] = [await ask(address, "/healthz"), await ask(address, "/healthz", { method: "HEAD" })];
    equal([got.status, got.body.toString().trim(), head.status, head.body.length], [200, "ok", 200, 0]);
  });
  await now("a query does not hide a file", async () => equal((await ask(address, "/?from=mail")).status, 200));
  await now("what is not there is 404, with the same rules for the browser", async () => {
    for (const path of [
      "/nothing",
      "/page/index.html",
      "/index.html/",
      "/../Cargo.toml",
      "/%2e%2e/Cargo.toml",
      "//",
      "/WS",
    ]) {
      const { status, headers } = await ask(address, path);
      equal([path, status, headers["content-security-policy"]], [path, 404, POLICY]);
    }
  });
  await now("another method is 405, and says which ones there are", async () => {
    for (const path of ["/", "/chat.js", "/healthz"]) {
      for (const method of ["POST", "DELETE", "OPTIONS"]) {
        const { status, headers } = await ask(address, path, { method });
        equal([method, path, status, headers.allow], [method, path, 405, "GET, HEAD"]);
      }
    }
    for (const path of ["/ws", "/wire", "/live/ws"]) {
      const { status, headers } = await ask(address, path, { method: "POST" });
      equal([path, status, headers.allow], [path, 405, "GET"]);
    }
  });
  await now("a WebSocket's path without an upgrade is 426", async () => {
    for (const path of ["/ws", "/ws?wire", "/wire", "/live/ws"]) {
      const { status, headers } = await ask(address, path);
      equal([path, status, headers.upgrade], [path, 426, "websocket"]);
    }
  });

  // Who may open a WebSocket.
  const elsewhere = await startElsewhere(topic);
  const hosts = [address, address.replace("127.0.0.1", "localhost")];
  await now("the chat's own origin gets 101 on each WebSocket's path, as localhost too", async () => {
    for (const host of hosts) {
      for (const path of ["ws", "ws?wire", "wire", "live/ws"]) {
        equal(
          [path, (await upgrade(address, path, { Origin: host.slice(0, -1), Host: new URL(host).host })).status],
          [path, 101],
        );
      }
    }
  });
  await now("an upgrade elsewhere is 404", async () => equal((await upgrade(address, "healthz")).status, 404));
  // A name that its owner points at this address makes a page there look like one of ours, were the Host believed.
  const evil = `evil.example:${chat.port}`;
  await now("another origin, null, none, and one made up with its Host get 403", async () => {
    for (const path of ["ws", "wire", "live/ws"]) {
      for (const headers of [
        { Origin: elsewhere.slice(0, -1) },
        { Origin: "null" },
        { Origin: `http://${evil}`, Host: evil },
        { Origin: `${origin}.evil.example` },
      ]) {
        equal([path, headers, (await upgrade(address, path, headers)).status], [path, headers, 403]);
      }
      const bare = {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      };
      equal([path, (await ask(address, path, { headers: bare })).status], [path, 403]);
    }
  });
  const context = await browser.newContext();
  topic.later(() => context.close());
  const stranger = await context.newPage();
  await stranger.goto(elsewhere);
  const own = await blank(topic, browser, address);
  const url = address.replace("http:", "ws:");
  await check("a page of another origin cannot open a WebSocket", async () => {
    for (const path of ["ws", "wire", "live/ws"]) equal(await tryToOpen(stranger, url + path), 1006);
  });
  await check("a page of the chat's own origin can", async () => equal(await tryToOpen(own, `${url}ws`), "open"));
  await check("a page of another origin cannot put the chat in a frame", async () => {
    await stranger.setContent(`<iframe src="${address}"></iframe>`);
    const frame = stranger.frames()[1];
    await frame.waitForLoadState();
    equal(await frame.evaluate(() => document.querySelectorAll("form").length), 0);
  });

  const friendly = await Chat.start(topic, program, "--allow-origin", elsewhere.slice(0, -1), "--max-connections", "2");
  await check("an origin that is allowed by name can, and the server's own still", async () => {
    equal(await tryToOpen(stranger, `${friendly.address.replace("http:", "ws:")}ws`), "open");
    equal((await upgrade(friendly.address, "ws")).status, 101);
  });
  await check("beyond --max-connections an upgrade is 503, and says when to come back", async () => {
    await stranger.evaluate(
      (where) =>
        Promise.all(
          [1, 2].map(
            () =>
              new Promise((resolve, reject) => {
                const socket = new WebSocket(where);
                socket.onopen = resolve;
                socket.onerror = reject;
              }),
          ),
        ),
      `${friendly.address.replace("http:", "ws:")}ws`,
    );
    const { status, headers } = await upgrade(friendly.address, "ws");
    equal([status, /^[1-9]\d*$/.test(headers["retry-after"])], [503, true]);
    equal((await ask(friendly.address, "/")).status, 200);
  });
}
