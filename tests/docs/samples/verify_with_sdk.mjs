// Verifies one webhook: body on standard input, header and secret given.
import { readFileSync } from "node:fs";
import { WorkOS } from "@workos-inc/node";

const [sigHeader, secret] = process.argv.slice(2);
const workos = new WorkOS("sk_unused");
const payload = JSON.parse(readFileSync(0, "utf8"));
const event = await workos.webhooks.constructEvent({ payload, sigHeader, secret });
if (event.event === "dsync.user.created") console.log(event.event, event.data.email);
