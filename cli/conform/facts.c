/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the answers of probes. A probe is a program of ours on a host that may be anybody's by
 * now; so whatever does not have the promised form refuses the whole answer, names that go to a
 * terminal are of a known alphabet or cleaned, and nothing is longer than its place.
 */
#include "cli/conform/facts.h"

#include <errno.h>
#include <string.h>

#include "cli/output.h"
#include "lib/family.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/schema.h"
#include "lib/text.h"

/* ---- Types ---- */

static int facts_read_shown(const struct schema_at *at, const char *text, void *out)
{
	output_clean(out, at->m->size, text);
	return 0;
}

static int facts_read_ifname(const struct schema_at *at, const char *text, void *out)
{
	if (*text && !text_is_ifname(text))
		return schema_refuse(at, EBADMSG, "is no name of a link");
	output_clean(out, at->m->size, text);
	return 0;
}

static int facts_read_network(const struct schema_at *at, void *out)
{
	const char *text = json_string_value(at->value);
	struct err ignored;
	return text && cidr_parse(text, out, &ignored) == 0
		       ? 0
		       : schema_refuse(at, EBADMSG, "is no network");
}

/* Of two settings the greater number holds (rp_filter in ip-sysctl.rst: 2 is loose, 1 strict). */
static int facts_read_greater(const struct schema_at *at, void *out)
{
	int64_t n = 0;
	int r = schema_get_number(at, at->m->min, at->m->max, &n);
	if (r == 0 && n > *(int *)out)
		*(int *)out = (int)n;
	return r;
}

static const struct schema_type shown = {.parse = facts_read_shown};
static const struct schema_type ifname = {.parse = facts_read_ifname};
static const struct schema_type network = {.read = facts_read_network};
static const struct schema_type greater = {.read = facts_read_greater};

/* ---- What a node has ---- */

#define ADDRESS(field) SCHEMA_AT(struct conform_address, field)
static const struct schema_member address_members[] = {
	{"addr", &network, ADDRESS(addr), .flags = SCHEMA_ALWAYS},
	{"dev", &ifname, ADDRESS(dev)},
};
#define LINK(field) SCHEMA_AT(struct conform_link, field)
static const struct schema_member link_members[] = {
	{"name", &ifname, LINK(name)},
	{"kind", &shown, LINK(kind)},
	{"alias", &shown, LINK(alias)},
	{"up", &schema_bool, LINK(up)},
	{"mtu", &schema_number, LINK(mtu)},
	{"local", &schema_addr, LINK(local)},
	{"vni", &schema_number, LINK(vni)},
	{"port", &schema_number, LINK(port)},
};
#define ROUTE(field) SCHEMA_AT(struct conform_route, field)
static const struct schema_member route_members[] = {
	{"dst", &network, ROUTE(dst), .flags = SCHEMA_ALWAYS},
	{"type", &shown, ROUTE(type)},
	{"dev", &ifname, ROUTE(dev)},
	{"protocol", &schema_number, ROUTE(protocol)},
	{"via", &schema_addr, ROUTE(via)},
	{"onlink", &schema_bool, ROUTE(on_link)},
};
#define RECORD(field) SCHEMA_AT(struct conform_record, field)
static const struct schema_member record_members[] = {
	{"address", &schema_addr, RECORD(addr)},
	{"state", &shown, RECORD(state)},
	{"container", &shown, RECORD(container)},
};
static const struct schema_member pool_members[] = {
	{"cidr", &network, .flags = SCHEMA_ALWAYS},
};
static const struct schema address_form = SCHEMA_OF(address_members),
			   link_form = SCHEMA_OF(link_members),
			   route_form = SCHEMA_OF(route_members),
			   record_form = SCHEMA_OF(record_members),
			   pool_form = SCHEMA_OF(pool_members);

#define FACTS(field) SCHEMA_AT(struct conform_facts, field)
#define SYSCTL(field) FACTS(field), .min = -1, .max = INT32_MAX
static const struct schema_member uplink_members[] = {
	{"dev", &ifname, FACTS(uplink)},
	{"mtu4", &schema_number, FACTS(mtu[IPV4])},
	{"mtu6", &schema_number, FACTS(mtu[IPV6])},
};
static const struct schema_member sysctl_members[] = {
	{"ip_forward", &schema_number, SYSCTL(ip_forward)},
	{"ipv6_forwarding", &schema_number, SYSCTL(ipv6_forwarding)},
	{"rp_filter_all", &greater, SYSCTL(rp_filter)},
	{"rp_filter_uplink", &greater, SYSCTL(rp_filter)},
};
static const struct schema uplink_form = SCHEMA_OF(uplink_members),
			   sysctls_form = SCHEMA_OF(sysctl_members);

#define LIST(field, what, bytes, ...)                                                              \
	&schema_heap, SCHEMA_POINTER(struct conform_facts, field),                                 \
		.max = CONFORM_LIST, .count = offsetof(struct conform_facts, n_##field),           \
		.of = SCHEMA_ELEMENT(what, bytes, __VA_ARGS__)
#define OBJECTS(field, type, form)                                                                 \
	LIST(field, &schema_object, sizeof(struct type), .schema = &(form))
static const struct schema_member facts_members[] = {
	{"node", &shown, FACTS(node)},
	{"addresses", OBJECTS(addresses, conform_address, address_form)},
	{"links", OBJECTS(links, conform_link, link_form)},
	{"tunnels", OBJECTS(tunnels, conform_link, link_form)},
	{"routes", OBJECTS(routes, conform_route, route_form)},
	{"records", OBJECTS(records, conform_record, record_form)},
	{"blocks", LIST(blocks, &network, sizeof(struct cidr))},
	{"pools", OBJECTS(pools, cidr, pool_form)},
	{.key = "uplink", .type = &schema_object, .schema = &uplink_form},
	{.key = "sysctls", .type = &schema_object, .schema = &sysctls_form},
};
static const struct schema facts_form = SCHEMA_OF(facts_members);

int conform_facts_parse(const json_t *answer, struct conform_facts *out, struct err *e)
{
	struct conform_facts l = {.ip_forward = -1, .ipv6_forwarding = -1, .rp_filter = -1};
	int r = schema_read(&facts_form, answer, &l, e);
	if (r < 0)
		conform_facts_done(&l);
	else
		*out = l;
	return r;
}

void conform_facts_done(struct conform_facts *l)
{
	free(l->addresses);
	free(l->links);
	free(l->tunnels);
	free(l->routes);
	free(l->records);
	free(l->blocks);
	free(l->pools);
	*l = (struct conform_facts){0};
}

/* ---- The others ---- */

static int facts_read_portmap(const struct schema_at *at, void *out)
{
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	for (size_t i = 0; i < json_array_size(at->value); i++) {
		const char *text = json_string_value(json_array_get(at->value, i));
		*(bool *)out |= text && strcmp(text, "portMappings") == 0;
	}
	return 0;
}

static int facts_read_ips(const struct schema_at *at, void *out)
{
	struct conform_pod *p = out;
	if (at->value && !json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	for (size_t i = 0; i < json_array_size(at->value); i++) {
		const struct schema_at here = schema_element(at, i);
		struct cidr c = {0};
		int r = network.read(&here, &c);
		if (r < 0)
			return r;
		struct addr *ip = &p->ip[family_of(c.addr.family)];
		if (!ip->family)
			*ip = c.addr;
	}
	return p->ip[IPV4].family || p->ip[IPV6].family
		       ? 0
		       : err_set(at->reader->e, EBADMSG, "it has no address");
}

#define POD(field) SCHEMA_AT(struct conform_pod, field)
static const struct schema_member pod_members[] = {
	{"container", &shown, POD(container)},
	{"hostLink", &ifname, POD(link)},
	{"ips", SCHEMA_READER(facts_read_ips), .flags = SCHEMA_ALWAYS},
	{"mtu", &schema_number, POD(mtu), .max = UINT16_MAX},
	{"port", &schema_number, POD(port)},
	{"capabilities", SCHEMA_READER(facts_read_portmap), POD(has_portmap)},
};
#define OUTCOME(field) SCHEMA_AT(struct conform_outcome, field)
static const struct schema_member outcome_members[] = {
	{"answered", &schema_bool, OUTCOME(answered)},
	{"rttUs", &schema_number, OUTCOME(rtt_us), .max = INT32_MAX},
	{"sent", &schema_number, OUTCOME(sent)},
	{"source", &schema_addr, OUTCOME(source)},
	{"icmpFrom", &schema_addr, OUTCOME(icmp_from)},
	{"error", &shown, OUTCOME(error)},
	{"pathMtu", &schema_number, OUTCOME(path_mtu)},
};

static const struct schema_member ports_members[] = {
	{"udp", &schema_number, SCHEMA_AT(struct conform_ports, udp)},
	{"tcp", &schema_number, SCHEMA_AT(struct conform_ports, tcp)},
};

static const struct schema_member heard_members[] = {
	{"count", &schema_count, SCHEMA_AT(struct conform_heard, count)},
	{"source", &schema_addr, SCHEMA_AT(struct conform_heard, source)},
};

static const struct schema pod_form = SCHEMA_OF(pod_members),
			   outcome_form = SCHEMA_OF(outcome_members),
			   ports_form = SCHEMA_OF(ports_members),
			   heard_form = SCHEMA_OF(heard_members);

static int facts_read_answer(
	const struct schema *s, const json_t *answer, void *out, size_t size, struct err *e)
{
	CLEANUP_FREE void *fresh = mem_new(1, size);
	int r = schema_read(s, answer, fresh, e);
	if (r == 0)
		memcpy(out, fresh, size);
	return r;
}

int conform_pod_parse(const json_t *answer, struct conform_pod *out, struct err *e)
{
	return facts_read_answer(&pod_form, answer, out, sizeof(*out), e);
}

int conform_outcome_parse(const json_t *answer, struct conform_outcome *out, struct err *e)
{
	return facts_read_answer(&outcome_form, answer, out, sizeof(*out), e);
}

int conform_ports_parse(const json_t *answer, struct conform_ports *out, struct err *e)
{
	return facts_read_answer(&ports_form, answer, out, sizeof(*out), e);
}

int conform_heard_parse(const json_t *answer, struct conform_heard *out, struct err *e)
{
	return facts_read_answer(&heard_form, answer, out, sizeof(*out), e);
}

static int take_counts(
	const json_t *answer, const char *key, struct conform_counts *c, struct err *e)
{
	json_t *o = NULL, *value = NULL;
	const char *name = NULL;
	if (json_get_object(answer, "", key, &o, e) < 0)
		return -EBADMSG;
	json_object_foreach (o, name, value) {
		size_t i = 0;
		while (i < c->n && strcmp(c->links[i].link, name) != 0)
			i++;
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return err_set(e, EBADMSG, "a count is no number");
		if (i == sizeof(c->links) / sizeof(c->links[0]) || strlen(name) >= CONFORM_IFNAME)
			continue; /* a link that had to be named by its number, or too many */
		if (i == c->n)
			output_clean(c->links[c->n++].link, CONFORM_IFNAME, name);
		*(strcmp(key, "in") == 0 ? &c->links[i].in : &c->links[i].out) =
			(uint64_t)json_integer_value(value);
	}
	return 0;
}

int conform_counts_parse(const json_t *answer, struct conform_counts *out, struct err *e)
{
	struct conform_counts c = {0};
	int r = take_counts(answer, "in", &c, e);
	if (r == 0)
		r = take_counts(answer, "out", &c, e);
	if (r == 0)
		*out = c;
	return r;
}
