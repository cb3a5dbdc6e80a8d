// Verifies one webhook by the rules of Standard Webhooks, without packages: body on standard input,
// headers as JSON.
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const [headers, secret] = [JSON.parse(process.argv[2]), process.argv[3]];
const body = readFileSync(0);
const { "webhook-id": id, "webhook-timestamp": sent } = headers;
const key = Buffer.from(secret.replace("whsec_", ""), "base64");
const expected = createHmac("sha256", key).update(`${id}.${sent}.`).update(body).digest();
const fits = headers["webhook-signature"].split(" ").some((one) => {
  const [version, text] = one.split(",");
  const given = Buffer.from(text ?? "", "base64");
  return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
});
if (!fits || !(Math.abs(Date.now() / 1000 - Number(sent)) <= 300)) throw new Error("not signed by us");
const event = JSON.parse(body);
console.log(event.event, event.id);
