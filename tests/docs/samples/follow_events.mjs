// Follows the event log, without packages: node follow_events.mjs
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const url = process.env.SYNCLINE_URL ?? "http://localhost:8000";
const headers = { Authorization: `Bearer ${process.env.SYNCLINE_API_KEY}` };
// In real life: in the same transaction as what the events change.
const file = "cursor.txt";

function handle(event) {
  console.log(event.event, event.id);
}

let after = existsSync(file) ? readFileSync(file, "utf8") : undefined;
for (;;) {
  const query = new URLSearchParams({ limit: "100", ...(after && { after }) });
  const answer = await fetch(`${url}/events?${query}`, { headers });
  if (answer.status === 410) throw new Error("The cursor has expired: read everything again.");
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  const { data } = await answer.json();
  for (const event of data) {
    handle(event);
    after = event.id;
    writeFileSync(file, after);
  }
  if (data.length < 100) await sleep(1000);
}
