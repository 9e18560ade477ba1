/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the answers of probes. A probe is a program of ours on a host that may be anybody's by
 * now; so whatever does not have the promised form refuses the whole answer, names that go to a
 * terminal are of a known alphabet or cleaned, and nothing is longer than its place.
 */
#include "cli/conform/facts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

/* ---- Single values; absent and null leave *out alone ---- */

static int take_text(const json_t *o, const char *key, char *out, size_t size, struct err *e)
{
	const char *text = NULL;
	int found = json_get_string(o, "", key, &text, e);
	if (found > 0)
		output_clean(out, size, text);
	return found < 0 ? found : 0;
}

static int take_ifname(const json_t *o, const char *key, char out[CONFORM_IFNAME], struct err *e)
{
	const char *text = "";
	if (json_get_string(o, "", key, &text, e) < 0)
		return -EBADMSG;
	if (*text && !text_is_ifname(text))
		return err_set(e, EBADMSG, "\"%s\" is no name of a link", key);
	output_clean(out, CONFORM_IFNAME, text);
	return 0;
}

/* "" is no address. */
static int take_addr(const json_t *o, const char *key, struct addr *out, struct err *e)
{
	const char *text = "";
	if (json_get_string(o, "", key, &text, e) < 0)
		return -EBADMSG;
	if (*text && addr_parse(text, out, e) < 0)
		return -EBADMSG;
	return 0;
}

static int parse_cidr(const char *text, struct cidr *out, struct err *e)
{
	return text && cidr_parse(text, out, e) == 0
		       ? 0
		       : err_set(e, EBADMSG, "something is no network");
}

static int take_cidr(const json_t *o, const char *key, struct cidr *out, struct err *e)
{
	return parse_cidr(json_string_value(json_object_get(o, key)), out, e);
}

static int take_number(const json_t *o, const char *key, int64_t max, int64_t *out, struct err *e)
{
	*out = 0;
	return json_get_number(o, "", key, 0, max, out, e) < 0 ? -EBADMSG : 0;
}

static int take_u32(const json_t *o, const char *key, uint32_t *out, struct err *e)
{
	int64_t v = 0;
	int r = take_number(o, key, UINT32_MAX, &v, e);
	*out = (uint32_t)v;
	return r;
}

static int take_port(const json_t *o, const char *key, uint16_t *out, struct err *e)
{
	int64_t v = 0;
	int r = take_number(o, key, UINT16_MAX, &v, e);
	*out = (uint16_t)v;
	return r;
}

static int take_bool(const json_t *o, const char *key, bool *out, struct err *e)
{
	return json_get_bool(o, "", key, out, e) < 0 ? -EBADMSG : 0;
}

/* ---- Lists ---- */

typedef int take_entry(const json_t *entry, void *out, struct err *e);

struct list {
	const char *key;
	size_t size; /* bytes of an element */
	take_entry *take;
	void *list; /* where the array's pointer goes, and its length */
	size_t *n;
};

static int take_list(const json_t *answer, const struct list *l, struct err *e)
{
	json_t *array = NULL, *entry = NULL;
	size_t i = 0;
	if (json_get_array(answer, "", l->key, &array, e) < 0)
		return -EBADMSG;
	size_t count = json_array_size(array);
	if (count > CONFORM_LIST)
		return err_set(e, EBADMSG, "\"%s\" has %zu entries", l->key, count);
	char *all = mem_new(count + 1, l->size);
	memcpy(l->list, &all, sizeof(all)); /* a pointer to whatever take() fills in */
	json_array_foreach (array, i, entry) {
		int r = l->take(entry, all + i * l->size, e);
		if (r < 0) {
			err_add(e, "%s[%zu]", l->key, i);
			return -EBADMSG;
		}
	}
	*l->n = count;
	return 0;
}

static int take_address(const json_t *o, void *out, struct err *e)
{
	struct conform_address *a = out;
	int r = take_cidr(o, "addr", &a->addr, e);
	return r < 0 ? r : take_ifname(o, "dev", a->dev, e);
}

static int take_link(const json_t *o, void *out, struct err *e)
{
	struct conform_link *l = out;
	int r = take_ifname(o, "name", l->name, e);
	if (r == 0)
		r = take_text(o, "kind", l->kind, sizeof(l->kind), e);
	if (r == 0)
		r = take_text(o, "alias", l->alias, sizeof(l->alias), e);
	if (r == 0)
		r = take_bool(o, "up", &l->up, e);
	if (r == 0)
		r = take_u32(o, "mtu", &l->mtu, e);
	if (r == 0)
		r = take_addr(o, "local", &l->local, e);
	if (r == 0)
		r = take_u32(o, "vni", &l->vni, e);
	return r < 0 ? r : take_port(o, "port", &l->port, e);
}

static int take_route(const json_t *o, void *out, struct err *e)
{
	struct conform_route *t = out;
	int64_t protocol = 0;
	int r = take_cidr(o, "dst", &t->dst, e);
	if (r == 0)
		r = take_text(o, "type", t->type, sizeof(t->type), e);
	if (r == 0)
		r = take_ifname(o, "dev", t->dev, e);
	if (r == 0)
		r = take_number(o, "protocol", UINT8_MAX, &protocol, e);
	t->protocol = (uint8_t)protocol;
	if (r == 0)
		r = take_addr(o, "via", &t->via, e);
	return r < 0 ? r : take_bool(o, "onlink", &t->on_link, e);
}

static int take_record(const json_t *o, void *out, struct err *e)
{
	struct conform_record *n = out;
	int r = take_addr(o, "address", &n->addr, e);
	if (r == 0)
		r = take_text(o, "state", n->state, sizeof(n->state), e);
	return r < 0 ? r : take_text(o, "container", n->container, sizeof(n->container), e);
}

static int take_block(const json_t *entry, void *out, struct err *e)
{
	return parse_cidr(json_string_value(entry), out, e);
}

static int take_pool(const json_t *o, void *out, struct err *e)
{
	return take_cidr(o, "cidr", out, e);
}

/* ---- What a node has ---- */

static int take_setting(const json_t *o, const char *key, int *out, struct err *e)
{
	int64_t v = -1;
	int found = json_get_number(o, "sysctls", key, -1, INT32_MAX, &v, e);
	*out = (int)v;
	return found < 0 ? -EBADMSG : 0;
}

static int take_settings(const json_t *answer, struct conform_facts *l, struct err *e)
{
	json_t *o = NULL;
	int all = -1, uplink = -1;
	if (json_get_object(answer, "", "sysctls", &o, e) < 0 ||
		take_setting(o, "ip_forward", &l->ip_forward, e) < 0 ||
		take_setting(o, "ipv6_forwarding", &l->ipv6_forwarding, e) < 0 ||
		take_setting(o, "rp_filter_all", &all, e) < 0 ||
		take_setting(o, "rp_filter_uplink", &uplink, e) < 0)
		return -EBADMSG;
	/* Of both the greater number holds (ip-sysctl.rst): 2 is loose, 1 strict. */
	l->rp_filter = all > uplink ? all : uplink;
	return 0;
}

static int take_uplink(const json_t *answer, struct conform_facts *l, struct err *e)
{
	json_t *o = NULL;
	if (json_get_object(answer, "", "uplink", &o, e) < 0 ||
		take_ifname(o, "dev", l->uplink, e) < 0 || take_u32(o, "mtu4", &l->mtu[0], e) < 0)
		return -EBADMSG;
	return take_u32(o, "mtu6", &l->mtu[1], e);
}

int conform_facts_parse(const json_t *answer, struct conform_facts *out, struct err *e)
{
	struct conform_facts l = {0};
	const struct list lists[] = {
		{"addresses", sizeof(*l.addresses), take_address, &l.addresses, &l.n_addresses},
		{"links", sizeof(*l.links), take_link, &l.links, &l.n_links},
		{"tunnels", sizeof(*l.tunnels), take_link, &l.tunnels, &l.n_tunnels},
		{"routes", sizeof(*l.routes), take_route, &l.routes, &l.n_routes},
		{"records", sizeof(*l.records), take_record, &l.records, &l.n_records},
		{"blocks", sizeof(*l.blocks), take_block, &l.blocks, &l.n_blocks},
		{"pools", sizeof(*l.pools), take_pool, &l.pools, &l.n_pools},
	};
	int r = take_text(answer, "node", l.node, sizeof(l.node), e);
	for (size_t i = 0; r == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
		r = take_list(answer, &lists[i], e);
	if (r == 0)
		r = take_uplink(answer, &l, e);
	if (r == 0)
		r = take_settings(answer, &l, e);
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

static bool has_text(const json_t *list, const char *text)
{
	size_t i = 0;
	json_t *item = NULL;
	json_array_foreach ((json_t *)list, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

static int take_ips(const json_t *answer, struct conform_pod *p, struct err *e)
{
	json_t *list = NULL, *item = NULL;
	size_t i = 0;
	if (json_get_array(answer, "", "ips", &list, e) < 0)
		return -EBADMSG;
	json_array_foreach (list, i, item) {
		struct cidr c = {0};
		if (parse_cidr(json_string_value(item), &c, e) < 0)
			return -EBADMSG;
		struct addr *ip = &p->ip[c.addr.family == AF_INET6];
		if (!ip->family)
			*ip = c.addr;
	}
	return p->ip[0].family || p->ip[1].family ? 0 : err_set(e, EBADMSG, "it has no address");
}

int conform_pod_parse(const json_t *answer, struct conform_pod *out, struct err *e)
{
	struct conform_pod p = {0};
	json_t *capabilities = NULL;
	int r = take_text(answer, "container", p.container, sizeof(p.container), e);
	if (r == 0)
		r = take_ifname(answer, "hostLink", p.link, e);
	if (r == 0)
		r = take_ips(answer, &p, e);
	if (r == 0)
		r = take_u32(answer, "mtu", &p.mtu, e);
	if (r == 0)
		r = take_port(answer, "port", &p.port, e);
	if (r == 0 && json_get_array(answer, "", "capabilities", &capabilities, e) < 0)
		r = -EBADMSG;
	if (r == 0 && p.mtu > UINT16_MAX)
		r = err_set(e, EBADMSG, "an MTU of %u", p.mtu);
	if (r < 0)
		return r;
	p.has_portmap = has_text(capabilities, "portMappings");
	*out = p;
	return 0;
}

int conform_outcome_parse(const json_t *answer, struct conform_outcome *out, struct err *e)
{
	struct conform_outcome o = {0};
	int64_t rtt = 0;
	int r = take_bool(answer, "answered", &o.answered, e);
	if (r == 0)
		r = take_number(answer, "rttUs", INT32_MAX, &rtt, e);
	o.rtt_us = (uint64_t)rtt;
	if (r == 0)
		r = take_u32(answer, "sent", &o.sent, e);
	if (r == 0)
		r = take_addr(answer, "source", &o.source, e);
	if (r == 0)
		r = take_addr(answer, "icmpFrom", &o.icmp_from, e);
	if (r == 0)
		r = take_text(answer, "error", o.error, sizeof(o.error), e);
	if (r == 0)
		r = take_u32(answer, "pathMtu", &o.path_mtu, e);
	if (r == 0)
		*out = o;
	return r;
}

int conform_ports_parse(const json_t *answer, uint16_t *udp, uint16_t *tcp, struct err *e)
{
	int r = take_port(answer, "udp", udp, e);
	return r < 0 ? r : take_port(answer, "tcp", tcp, e);
}

int conform_heard_parse(const json_t *answer, uint64_t *count, struct addr *source, struct err *e)
{
	int64_t n = 0;
	struct addr a = {0};
	int r = take_number(answer, "count", INT64_MAX, &n, e);
	if (r == 0)
		r = take_addr(answer, "source", &a, e);
	if (r < 0)
		return r;
	*count = (uint64_t)n;
	*source = a;
	return 0;
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
