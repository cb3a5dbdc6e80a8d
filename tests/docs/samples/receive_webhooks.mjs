// Receives webhooks, without packages: node receive_webhooks.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

// whsec_…, as a whole; while a secret is changed the new and the old one.
const secrets = process.env.WEBHOOK_SECRET.split(" ");
const port = Number(process.env.WEBHOOK_PORT ?? 9000);
const toleranceMs = 180_000;
const done = new Set(); // in real life: a table with a unique key

function verified(header, body) {
  const pairs = header.split(",").map((part) => part.trim().split("=", 2));
  const parts = Object.fromEntries(pairs);
  if (!(Math.abs(Date.now() - Number(parts.t)) <= toleranceMs)) return false;
  const given = Buffer.from(parts.v1 ?? "", "hex");
  return secrets.some((secret) => {
    const hmac = createHmac("sha256", secret);
    const expected = hmac.update(`${parts.t}.`).update(body).digest();
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

function handle(event) {
  console.log(event.event, event.id);
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks); // the bytes as received, not parsed yet
  if (!verified(request.headers["workos-signature"] ?? "", body)) {
    response.writeHead(401).end();
    return;
  }
  const event = JSON.parse(body);
  if (!done.has(event.id)) {
    handle(event); // the same event may come again
    done.add(event.id);
  }
  response.writeHead(204).end();
}).listen(port, "127.0.0.1", () => console.log(`listening on http://localhost:${port}/`));
