// Reads people and events: node official_sdk.mjs DIRECTORY
import { WorkOS } from "@workos-inc/node";

const url = new URL(process.env.SYNCLINE_URL ?? "http://localhost:8000");
const workos = new WorkOS(process.env.SYNCLINE_API_KEY, {
  apiHostname: url.hostname,
  port: Number(url.port),
  https: url.protocol === "https:",
});

const users = await workos.directorySync.listUsers({ directory: process.argv[2] });
for (const user of await users.autoPagination()) console.log(user.state, user.email);

let after;
do {
  const events = ["dsync.group.created"];
  const page = await workos.events.listEvents({ events, limit: 100, after });
  for (const event of page.data) console.log(event.event, event.data.name);
  after = page.listMetadata.after;
} while (after);
