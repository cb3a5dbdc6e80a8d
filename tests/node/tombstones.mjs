// Verifies several webhooks with the official Node SDK and says whom they are about: [{body, header}] on standard
// input, the secret as argument.
import { WorkOS } from "@workos-inc/node";
import { readFileSync } from "node:fs";

const workos = new WorkOS("sk_unused");
const seen = [];
for (const { body, header } of JSON.parse(readFileSync(0, "utf8"))) {
  const event = await workos.webhooks.constructEvent({
    payload: JSON.parse(body),
    sigHeader: header,
    secret: process.argv[2],
  });
  const user = event.data.user ?? event.data;
  seen.push([event.event, user.id, user.email, user.idpId, user.state]);
}
console.log(JSON.stringify(seen));
