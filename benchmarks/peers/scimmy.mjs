// SCIMMY with its express routers as an application would run it: PostgreSQL, one transaction for every write,
// members as rows, one event row for every change. Express 4, because the routers lose paging on 5.
// Environment: PORT, DATABASE_URL, TOKEN.
import express from "express";
import pg from "pg";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const ScimError = SCIMMY.Types.Error;
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

await pool.query(`
  CREATE TABLE people (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, document jsonb NOT NULL,
    created timestamptz NOT NULL DEFAULT now(), changed timestamptz NOT NULL DEFAULT now());
  CREATE UNIQUE INDEX people_name ON people (lower(name));
  CREATE TABLE teams (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, document jsonb NOT NULL,
    created timestamptz NOT NULL DEFAULT now(), changed timestamptz NOT NULL DEFAULT now());
  CREATE TABLE team_people (
    team uuid REFERENCES teams ON DELETE CASCADE, person uuid REFERENCES people ON DELETE CASCADE,
    PRIMARY KEY (team, person));
  CREATE TABLE happened (
    number bigserial PRIMARY KEY, kind text NOT NULL, body jsonb NOT NULL, at timestamptz NOT NULL DEFAULT now());
`);

/** Run `work` in a transaction; a broken unique index is SCIM's 409. */
async function transaction(work) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error.code === "23505" ? new ScimError(409, "uniqueness", "taken") : error;
  } finally {
    client.release();
  }
}

const first = async (source, name, text, values) => {
  const { rows } = await source.query({ name, text, values });
  if (!rows.length) throw new ScimError(404, null, "no such resource");
  return rows[0];
};

const shown = (row) => ({
  ...row.document,
  id: row.id,
  meta: { created: row.created.toISOString(), lastModified: row.changed.toISOString() },
});

const documentOf = (instance) => {
  const { meta, members, ...document } = JSON.parse(JSON.stringify(instance));
  return [document, members ?? []];
};

const record = (client, kind, body) =>
  client.query({ name: "record", text: "INSERT INTO happened (kind, body) VALUES ($1, $2)", values: [kind, body] });

/** The name in a filter that is nothing but `userName eq "…"`. */
function soughtName(filter) {
  if (filter?.length !== 1) return undefined;
  const [[attribute, condition], ...others] = Object.entries(filter[0]);
  const isPlain = !others.length && attribute.toLowerCase() === "username" && condition?.[0] === "eq";
  return isPlain ? String(condition[1]) : undefined;
}

SCIMMY.Resources.declare(SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false), {
  async egress(request) {
    if (request.id) {
      return shown(await first(pool, "person", "SELECT * FROM people WHERE id = $1", [request.id]));
    }
    const name = soughtName(request.filter);
    if (name !== undefined) {
      const text = "SELECT * FROM people WHERE lower(name) = lower($1)";
      return (await pool.query({ name: "by name", text, values: [name] })).rows.map(shown);
    }
    if (request.filter) return request.filter.match((await pool.query("SELECT * FROM people")).rows.map(shown));
    const { startIndex = 1, count = 20 } = request.constraints ?? {};
    const page = { name: "page", text: "SELECT * FROM people ORDER BY id OFFSET $1 LIMIT $2", values: [startIndex - 1, count] };
    const [rows, total] = await Promise.all([pool.query(page), pool.query("SELECT count(*)::int AS n FROM people")]);
    if (request.constraints) request.constraints.totalResults = total.rows[0].n;
    return rows.rows.map(shown);
  },
  async ingress(request, instance) {
    const [document] = documentOf(instance);
    return transaction(async (client) => {
      const row = request.id
        ? await first(client, "change person",
            "UPDATE people SET name = $2, document = $3, changed = now() WHERE id = $1 RETURNING *",
            [request.id, document.userName, document])
        : await first(client, "add person",
            "INSERT INTO people (name, document) VALUES ($1, $2) RETURNING *", [document.userName, document]);
      await record(client, request.id ? "user.updated" : "user.created", shown(row));
      return shown(row);
    });
  },
  async degress(request) {
    await transaction(async (client) => {
      await first(client, "remove person", "DELETE FROM people WHERE id = $1 RETURNING id", [request.id]);
      await record(client, "user.deleted", { id: request.id });
    });
  },
});

const membersOf = async (source, team) => {
  const text = "SELECT person AS value FROM team_people WHERE team = $1";
  return (await source.query({ name: "members", text, values: [team] })).rows;
};

/** Bring a team's rows to the list SCIMMY hands over, touching only what differs. */
async function setMembers(client, team, ids) {
  const gone = await client.query({
    name: "drop members",
    text: "DELETE FROM team_people WHERE team = $1 AND NOT person = ANY ($2::uuid[]) RETURNING person",
    values: [team, ids],
  });
  const come = await client.query({
    name: "add members",
    text: `INSERT INTO team_people SELECT $1, wanted FROM unnest($2::uuid[]) AS wanted
           ON CONFLICT DO NOTHING RETURNING person`,
    values: [team, ids],
  });
  const kinds = [...come.rows.map(() => "group.user_added"), ...gone.rows.map(() => "group.user_removed")];
  const people = [...come.rows, ...gone.rows].map((row) => row.person);
  if (!kinds.length) return;
  await client.query({
    name: "record members",
    text: `INSERT INTO happened (kind, body)
           SELECT kind, jsonb_build_object('group', $1::text, 'user', person)
           FROM unnest($2::text[], $3::text[]) AS change (kind, person)`,
    values: [team, kinds, people],
  });
}

SCIMMY.Resources.declare(SCIMMY.Resources.Group, {
  async egress(request) {
    if (request.id) {
      const row = await first(pool, "team", "SELECT * FROM teams WHERE id = $1", [request.id]);
      return { ...shown(row), members: await membersOf(pool, row.id) };
    }
    const { rows } = await pool.query("SELECT * FROM teams");
    const teams = await Promise.all(rows.map(async (row) => ({ ...shown(row), members: await membersOf(pool, row.id) })));
    return request.filter ? request.filter.match(teams) : teams;
  },
  async ingress(request, instance) {
    const [document, members] = documentOf(instance);
    const ids = [...new Set(members.map((member) => member.value))];
    return transaction(async (client) => {
      const row = request.id
        ? await first(client, "change team",
            "UPDATE teams SET name = $2, document = $3, changed = now() WHERE id = $1 RETURNING *",
            [request.id, document.displayName, document])
        : await first(client, "add team",
            "INSERT INTO teams (name, document) VALUES ($1, $2) RETURNING *", [document.displayName, document]);
      if (!request.id) await record(client, "group.created", { id: row.id });
      await setMembers(client, row.id, ids);
      return { ...shown(row), members: ids.map((value) => ({ value })) };
    });
  },
  async degress(request) {
    await transaction((client) => first(client, "remove team", "DELETE FROM teams WHERE id = $1 RETURNING id", [request.id]));
  },
});

const handler = (request) => {
  if (request.header("Authorization") !== `Bearer ${process.env.TOKEN}`) throw new Error("unknown token");
  return "provider";
};
const app = express();
app.use("/scim", new SCIMMYRouters({ type: "bearer", docUri: "https://northwind.example", handler }));
app.listen(Number(process.env.PORT), "127.0.0.1");
