// Drives the official Node SDK against the service named by the arguments; prints what it saw as JSON.
import { WorkOS } from "@workos-inc/node";

const [host, port, key, directory, organization] = process.argv.slice(2);
const workos = new WorkOS(key, { apiHostname: host, port: Number(port), https: false });
const seen = {};

const organizations = [];
for (let n = 0; n < 3; n += 1) {
  organizations.push(await workos.organizations.createOrganization({ name: `Customer ${n}`, externalId: `cust-${n}` }));
}
seen.walked = (await (await workos.organizations.listOrganizations()).autoPagination()).length;
seen.byExternalId = (await workos.organizations.getOrganizationByExternalId("cust-1")).id === organizations[1].id;
const updated = await workos.organizations.updateOrganization({
  organization: organizations[0].id,
  name: "Renamed",
  metadata: { plan: "gold" },
});
seen.updated = [updated.name, updated.metadata.plan];
seen.read = (await workos.organizations.getOrganization(organizations[0].id)).name;

const domain = await workos.organizationDomains.create({ organizationId: organization, domain: "node.example" });
seen.domain = [(await workos.organizationDomains.get(domain.id)).domain, (await workos.organizationDomains.verify(domain.id)).state];
await workos.organizationDomains.delete(domain.id);

seen.directories = (await workos.directorySync.listDirectories({ organizationId: organization })).data.map((d) => [d.id, d.state]);
seen.directory = (await workos.directorySync.getDirectory(directory)).name;
const users = await (await workos.directorySync.listUsers({ directory })).autoPagination();
seen.users = users.map((user) => user.email).sort();
const groups = await (await workos.directorySync.listGroups({ directory })).autoPagination();
seen.groups = groups.map((group) => group.name).sort();
seen.groupsOfUser = (await workos.directorySync.getUser(users.at(-1).id)).groups.length;
seen.group = (await workos.directorySync.getGroup(groups[0].id)).id === groups[0].id;

const roles = workos.authorization;
await roles.createEnvironmentRole({ slug: "planner", name: "Planner" });
const own = await roles.createOrganizationRole(organization, { slug: "org-auditor", name: "Auditor" });
const chief = await roles.updateEnvironmentRole("planner", { name: "Chief" });
seen.roles = [
  chief.name,
  (await roles.getEnvironmentRole("planner")).type,
  (await roles.listEnvironmentRoles()).data.map((role) => role.slug),
  (await roles.setEnvironmentRolePermissions("planner", { permissions: ["a"] })).permissions,
  (await roles.addEnvironmentRolePermission("planner", { permissionSlug: "b" })).permissions,
];
await roles.setOrganizationRolePermissions(organization, "org-auditor", { permissions: ["x", "y"] });
await roles.addOrganizationRolePermission(organization, "org-auditor", { permissionSlug: "z" });
await roles.removeOrganizationRolePermission(organization, "org-auditor", { permissionSlug: "x" });
seen.ownRoles = [
  own.type,
  (await roles.updateOrganizationRole(organization, "org-auditor", { description: "Reads" })).description,
  (await roles.getOrganizationRole(organization, "org-auditor")).permissions,
  (await roles.listOrganizationRoles(organization)).data.map((role) => role.slug),
  (await workos.organizations.listOrganizationRoles({ organizationId: organization })).data.map((role) => role.type),
];
await roles.deleteOrganizationRole(organization, "org-auditor");
// Events get their places a moment after the calls.
const deadline = Date.now() + 10_000;
do {
  const page = await workos.events.listEvents({ events: ["role.updated", "organization_role.deleted"] });
  seen.roleEvents = page.data.map((event) => [event.event, event.data.slug]);
} while (seen.roleEvents.length < 4 && Date.now() < deadline);

const events = [];
let after;
do {
  const page = await workos.events.listEvents({ events: ["dsync.user.created", "organization.created"], limit: 2, after });
  events.push(...page.data);
  after = page.listMetadata.after;
} while (after);
seen.events = events.map((event) => event.event);

seen.errors = [];
for (const attempt of [
  () => workos.directorySync.getDirectory("directory_01KA0YPX7B9D1F3H5K7M9Q1S3T"),
  () => workos.organizations.listOrganizations({ limit: 1000 }),
  () => new WorkOS("sk_wrong", { apiHostname: host, port: Number(port), https: false }).organizations.listOrganizations(),
]) {
  try {
    await attempt();
    seen.errors.push("none");
  } catch (error) {
    seen.errors.push(error.name);
  }
}
for (const one of organizations) await workos.organizations.deleteOrganization(one.id);
await workos.directorySync.deleteDirectory(directory);
console.log(JSON.stringify(seen));
