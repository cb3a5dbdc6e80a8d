// Verifies one webhook with the official Node SDK: body on standard input, header and secret as arguments.
import { WorkOS } from "@workos-inc/node";
import { readFileSync } from "node:fs";

const [sigHeader, secret] = process.argv.slice(2);
const workos = new WorkOS("sk_unused");
const payload = JSON.parse(readFileSync(0, "utf8"));
const event = await workos.webhooks.constructEvent({ payload, sigHeader, secret });
console.log(JSON.stringify({ id: event.id, event: event.event }));
