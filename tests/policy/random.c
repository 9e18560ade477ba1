/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Few names, labels, addresses and ports, so that much of what is drawn meets. Rules of NetworkPolicy allow alone
 * and have peers and ports; those of Calico's kinds have every member that there is.
 */
#include "tests/policy/random.h"

#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "lib/hash.h"
#include "lib/mem.h"

enum {
	ITEM_NAMESPACE = 0,
	ITEM_POD = 10,
	ITEM_ACCOUNT = 30,
	ITEM_NETSET = 40,
	ITEM_TIER = 50,
	ITEM_POLICY = 100,
	POLICY_ITEMS = 200, /* of one policy */
	RULE_ITEMS = 30,    /* of one of its rules: itself, then */
	RULE_PEER = 1,
	RULE_PORT = 8,
	RULE_SELF = 24,
	RULE_NOT_PORTS,
	RULE_SOURCES,
	RULE_NOT_SOURCES,
	RULE_ICMP,
	RULE_NOT_ICMP,
	NAMESPACES = 4,
	ACCOUNTS = 3,
	NETSETS = 3,
	TIERS = 2,
	POLICIES = 8,
	RULES = 3,
	PEERS = 7,
	PORTS = 16,
};

/* Dice */

static uint64_t hash_number(
	const struct random_case *c, unsigned int item, unsigned int what, unsigned int step)
{
	const uint64_t words[] = {c->seed, item, what, step};
	struct hash h = hash_of(words, sizeof(words));
	return hash_slot(&h);
}

/* How often the item became another one up to this step. */
static unsigned int variant(const struct random_case *c, unsigned int item)
{
	unsigned int n = 0;
	for (unsigned int s = 1; s <= c->step; s++)
		n += hash_number(c, item, 9999, s) % 8 == 0;
	return n;
}

static unsigned int draw(
	const struct random_case *c, unsigned int item, unsigned int what, unsigned int sides)
{
	return (unsigned int)(hash_number(c, item, what, variant(c, item)) >> 7) % sides;
}

static bool is_off(const struct random_case *c, unsigned int item)
{
	return c->off[item / 8] >> (item % 8) & 1;
}

/* There, with a chance of one in sides of being left out. */
static bool is_there(const struct random_case *c, unsigned int item, unsigned int sides)
{
	return !is_off(c, item) && draw(c, item, 0, sides) != 0;
}

static bool is_rare(const struct random_case *c, unsigned int item, unsigned int sides)
{
	return !is_off(c, item) && draw(c, item, 0, sides) == 0;
}

/* Labels and selectors */

static const char *const keys[] = {"app", "env", "tier"};
static const char *const values[] = {"a", "b", "c"};

static struct policy_labels labels_of(const struct random_case *c, unsigned int item)
{
	json_t *o = json_object();
	struct policy_labels l = {0};
	for (size_t i = 0; i < COUNT(keys); i++) {
		unsigned int v = draw(c, item, 10 + (unsigned int)i, COUNT(values) + 1);
		if (v < COUNT(values))
			(void)json_object_set_new(o, keys[i], json_string(values[v]));
	}
	struct err e;
	ok(policy_labels_read(o, &l, &e));
	json_decref(o);
	return l;
}

static struct policy_selector *selector_of(
	const struct random_case *c, unsigned int item, unsigned int what)
{
	const char *k = keys[draw(c, item, what, COUNT(keys))];
	const char *k2 = keys[draw(c, item, what + 1, COUNT(keys))];
	const char *v = values[draw(c, item, what + 2, COUNT(values))];
	const char *v2 = values[draw(c, item, what + 3, COUNT(values))];
	char buf[200];
	struct text t = TEXT_ON(buf);
	switch (draw(c, item, what + 4, 10)) {
	case 0:
		text_add(&t, "all()");
		break;
	case 1:
		text_add(&t, "%s in {\"%s\", \"%s\"}", k, v, v2);
		break;
	case 2:
		text_add(&t, "%s != \"%s\"", k, v);
		break;
	case 3:
		text_add(&t, "!has(%s)", k);
		break;
	case 4:
		text_add(&t, "has(%s)", k);
		break;
	case 5:
		text_add(&t, "%s == \"%s\" && %s == \"%s\"", k, v, k2, v2);
		break;
	case 6:
		text_add(&t, "%s == \"%s\" || %s == \"%s\"", k, v, k2, v2);
		break;
	case 7:
		text_add(&t, "%s not in {\"%s\"}", k, v);
		break;
	default:
		text_add(&t, "%s == \"%s\"", k, v);
	}
	struct policy_selector *s = NULL;
	struct err e;
	ok(policy_selector_of_text(buf, &s, &e));
	return s;
}

static struct policy_selector *selector_global(void)
{
	struct policy_selector *s = NULL;
	struct err e;
	ok(policy_selector_of_text("global()", &s, &e));
	return s;
}

/* Addresses */

static struct addr addr_of(const char *text)
{
	struct addr a;
	struct err e;
	ok(addr_parse(text, &a, &e));
	return a;
}

static struct addr pod_addr(unsigned int i, uint8_t family)
{
	char buf[32];
	struct text t = TEXT_ON(buf);
	text_add(&t, family == AF_INET ? "10.0.%u.%u" : "fd00::%u:%u", i % 2, i + 1);
	return addr_of(buf);
}

static struct cidr cidr_at(const struct random_case *c, unsigned int item, unsigned int what)
{
	static const char *const nets[] = {"0.0.0.0/0", "::/0", "10.0.0.0/16", "10.0.0.0/24",
		"10.0.1.0/24", "10.0.0.0/29", "10.0.0.4/30", "10.0.1.2/32", "10.0.0.1/32",
		"192.0.2.0/24", "192.0.2.128/25", "192.0.2.0/25", "128.0.0.0/1", "fd00::/16",
		"fd00::/112", "fd00::1:0/112", "fd00::1:2/128", "2001:db8::/32", "8000::/1",
		"255.255.255.255/32", "2001:db8::/33"};
	struct cidr net;
	struct err e;
	ok(cidr_parse(nets[draw(c, item, what, COUNT(nets))], &net, &e));
	return net;
}

static struct cidr *cidrs_at(
	const struct random_case *c, unsigned int item, unsigned int what, size_t n)
{
	struct cidr *v = mem_new(n, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = cidr_at(c, item, what + (unsigned int)i);
	return v;
}

/* Objects */

static void name_of(char *out, size_t size, char letter, unsigned int i)
{
	struct text t = {.buf = out, .size = size};
	text_add(&t, "%c%u", letter, i);
}

static const char *const port_names[] = {"http", "dns", "any"};
static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
static const uint16_t numbers[] = {80, 81, 443, 8080, 53, 0, 65535, 30000};

static void ports_of_pod(const struct random_case *c, unsigned int item, struct policy_pod *p)
{
	p->ports = mem_new(3, sizeof(*p->ports));
	for (unsigned int i = 0; i < 3; i++) {
		if (draw(c, item, 40 + i, 3) == 0)
			continue;
		struct policy_port *port = &p->ports[p->n_ports++];
		port->proto = protos[draw(c, item, 50 + i, 4) == 0 ? 1 : 0];
		port->first = port->last = numbers[draw(c, item, 60 + i, 4)];
		(void)text_copy(port->name, sizeof(port->name),
			port_names[draw(c, item, 70 + i, COUNT(port_names))]);
	}
}

static struct policy_pod pod_of(const struct random_case *c, unsigned int i)
{
	unsigned int item = ITEM_POD + i;
	struct policy_pod p = {.created_s = draw(c, item, 1, 3)};
	name_of(p.namespace, sizeof(p.namespace), 'n', draw(c, item, 2, NAMESPACES));
	name_of(p.name, sizeof(p.name), 'p', i);
	name_of(p.uid, sizeof(p.uid), 'u', i);
	name_of(p.account, sizeof(p.account), 's', draw(c, item, 3, ACCOUNTS + 1));
	p.labels = labels_of(c, item);
	unsigned int at = draw(c, item, 4, 12) == 0 ? draw(c, item, 5, RANDOM_PODS) : i;
	unsigned int families = draw(c, item, 6, 5);
	if (families != 0)
		p.addrs[p.n_addrs++] = pod_addr(at, AF_INET);
	if (families < 3)
		p.addrs[p.n_addrs++] = pod_addr(at, AF_INET6);
	ports_of_pod(c, item, &p);
	p.on_host = draw(c, item, 7, 12) == 0;
	p.is_over = draw(c, item, 8, 12) == 0;
	return p;
}

static void tell_pods(const struct random_case *c, struct policy_world *w)
{
	policy_world_begin(w, POLICY_FROM_PODS);
	for (unsigned int i = 0; i < RANDOM_PODS; i++) {
		struct policy_pod p = pod_of(c, i);
		if (is_there(c, ITEM_POD + i, 10)) {
			(void)policy_world_put_pod(w, POLICY_FROM_PODS, &p);
		} else {
			free((void *)p.labels.v);
			free(p.ports);
		}
	}
	policy_world_end(w, POLICY_FROM_PODS);
}

static void tell_namespaces(const struct random_case *c, struct policy_world *w)
{
	policy_world_begin(w, POLICY_FROM_NAMESPACES);
	for (unsigned int i = 0; i < NAMESPACES; i++) {
		if (!is_there(c, ITEM_NAMESPACE + i, 10))
			continue;
		struct policy_namespace n = {.labels = labels_of(c, ITEM_NAMESPACE + i)};
		name_of(n.name, sizeof(n.name), 'n', i);
		(void)policy_world_put_namespace(w, &n);
	}
	policy_world_end(w, POLICY_FROM_NAMESPACES);
	policy_world_begin(w, POLICY_FROM_ACCOUNTS);
	for (unsigned int i = 0; i < ACCOUNTS * NAMESPACES; i++) {
		unsigned int item = ITEM_ACCOUNT + i % ACCOUNTS;
		if (!is_there(c, item, 10))
			continue;
		struct policy_account a = {.labels = labels_of(c, item)};
		name_of(a.namespace, sizeof(a.namespace), 'n', i / ACCOUNTS);
		name_of(a.name, sizeof(a.name), 's', i % ACCOUNTS);
		(void)policy_world_put_account(w, &a);
	}
	policy_world_end(w, POLICY_FROM_ACCOUNTS);
}

static void put_netset(const struct random_case *c, unsigned int i, struct policy_world *w)
{
	unsigned int item = ITEM_NETSET + i;
	struct policy_netset s = {.labels = labels_of(c, item), .n_nets = draw(c, item, 20, 4)};
	s.nets = cidrs_at(c, item, 21, s.n_nets);
	if (draw(c, item, 30, 2) == 0)
		name_of(s.namespace, sizeof(s.namespace), 'n', draw(c, item, 31, NAMESPACES));
	name_of(s.name, sizeof(s.name), 'z', i);
	(void)policy_world_put_netset(w, &s);
}

/* Rules */

static void ports_of(const struct random_case *c, unsigned int item, struct policy_port *p,
	uint8_t proto, bool names)
{
	*p = (struct policy_port){.proto = proto ? proto : protos[draw(c, item, 1, 3)]};
	unsigned int kind = draw(c, item, 2, 10);
	p->first = p->last = numbers[draw(c, item, 3, COUNT(numbers))];
	if (kind < 3 && names) {
		(void)text_copy(
			p->name, sizeof(p->name), port_names[draw(c, item, 4, COUNT(port_names))]);
		p->first = p->last = 0;
	} else if (kind == 3) {
		p->first = 0;
		p->last = 65535;
	} else if (kind < 6) {
		unsigned int end = p->first + draw(c, item, 5, 40);
		p->last = end > 65535 ? 65535 : (uint16_t)end;
	} else if (kind == 6 && !proto && draw(c, item, 6, 4) == 0) {
		*p = (struct policy_port){.last = 65535};
	}
}

static struct policy_port *port_list(
	const struct random_case *c, unsigned int item, size_t n, uint8_t proto, bool names)
{
	struct policy_port *v = mem_new(n, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		ports_of(c, item + 1000 * ((unsigned int)i + 1), &v[i], proto, names);
	return v;
}

static void nets_of(const struct random_case *c, unsigned int item, struct policy_end *e)
{
	e->n_nets = 1 + draw(c, item, 200, 2);
	e->nets = mem_new(e->n_nets, sizeof(*e->nets));
	for (unsigned int i = 0; i < e->n_nets; i++) {
		struct policy_net *net = &e->nets[i];
		net->net = cidr_at(c, item, 210 + 10 * i);
		net->n_excepts = draw(c, item, 211 + 10 * i, 3);
		net->excepts = cidrs_at(c, item, 212 + 10 * i, net->n_excepts);
	}
}

static void pods_of(
	const struct random_case *c, unsigned int item, const char *namespace, struct policy_end *e)
{
	unsigned int where = draw(c, item, 100, 4);
	if (where == 0 && namespace[0])
		(void)text_copy(e->own, sizeof(e->own), namespace);
	else if (where < 3)
		e->namespaces = selector_of(c, item, 110);
	if (where == 3 || draw(c, item, 101, 3) != 0)
		e->pods = selector_of(c, item, 120);
}

static void calico_of(const struct random_case *c, unsigned int item, struct policy_end *e)
{
	e->has_sets = draw(c, item, 130, 2) == 0;
	if (draw(c, item, 131, 4) == 0)
		e->not_pods = selector_of(c, item, 132);
	if (draw(c, item, 140, 6) == 0)
		e->accounts = selector_of(c, item, 141);
	if (draw(c, item, 150, 4) == 0) {
		e->n_not_nets = 1 + draw(c, item, 151, 2);
		e->not_nets = cidrs_at(c, item, 152, e->n_not_nets);
	}
	if (draw(c, item, 160, 8) == 0) {
		e->n_account_names = 1;
		e->account_names = mem_new(1, sizeof(char *));
		e->account_names[0] = mem_strdup("s1");
	}
	if (draw(c, item, 170, 12) == 0) {
		policy_selector_unref(e->namespaces);
		e->namespaces = selector_global();
	}
}

static void end_of(const struct random_case *c, unsigned int item, const struct policy *p,
	struct policy_end *e)
{
	bool is_calico = p->kind == POLICY_CALICO || p->kind == POLICY_CALICO_GLOBAL;
	unsigned int what = draw(c, item, 1, 5);
	e->nobody = draw(c, item, 2, 25) == 0;
	if (what < 3 || (is_calico && what == 4))
		pods_of(c, item, p->namespace, e);
	if (what >= 3)
		nets_of(c, item, e);
	if (is_calico)
		calico_of(c, item, e);
}

static void numbers_of(
	const struct random_case *c, unsigned int item, bool is_calico, struct policy_rule *r)
{
	/* No reader makes ports of what has none; the kernel would find other bytes there. */
	if (r->proto && r->proto != IPPROTO_TCP && r->proto != IPPROTO_UDP &&
		r->proto != IPPROTO_SCTP)
		return;
	/* Sometimes so many that the product of clauses is large. */
	unsigned int most = draw(c, item, 6, 6) == 0 ? PORTS : 3;
	r->ports = mem_new(most, sizeof(*r->ports));
	for (unsigned int i = 0; i < most; i++) {
		unsigned int at = item + RULE_PORT + i;
		if (is_off(c, at) || draw(c, at, 0, 3) == 0)
			continue;
		ports_of(c, at, &r->ports[r->n_ports++], r->proto, true);
	}
	if (draw(c, item, 7, 2) == 0)
		r->n_ports = 0;
	if (!is_calico)
		return;
	if (is_rare(c, item + RULE_NOT_PORTS, 3)) {
		r->n_not_ports = 2;
		r->not_ports = port_list(c, item + RULE_NOT_PORTS, 2, r->proto, true);
	}
	if (is_rare(c, item + RULE_SOURCES, 4)) {
		r->n_sources = most;
		r->sources = port_list(c, item + RULE_SOURCES, most, r->proto, false);
	}
	if (is_rare(c, item + RULE_NOT_SOURCES, 4)) {
		r->n_not_sources = 2;
		r->not_sources = port_list(c, item + RULE_NOT_SOURCES, 2, r->proto, false);
	}
}

static void icmp_of(
	const struct random_case *c, unsigned int item, unsigned int sides, struct policy_icmp *out)
{
	*out = (struct policy_icmp){-1, -1};
	if (!is_rare(c, item, sides))
		return;
	out->type = (int16_t)(draw(c, item, 1, 2) ? 8 : 3);
	out->code = (int16_t)draw(c, item, 2, 3) - 1;
}

static void protos_of(const struct random_case *c, unsigned int item, struct policy_rule *r)
{
	static const uint8_t any[] = {
		IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, IPPROTO_ICMPV6, 47};
	if (draw(c, item, 20, 2) == 0)
		r->proto = any[draw(c, item, 21, COUNT(any))];
	if (draw(c, item, 22, 6) == 0)
		r->not_proto = any[draw(c, item, 23, COUNT(any))];
	unsigned int f = draw(c, item, 24, 8);
	r->family = f == 0 ? AF_INET : f == 1 ? AF_INET6 : 0;
}

static void rule_of(const struct random_case *c, unsigned int item, const struct policy *p,
	struct policy_rule *r)
{
	static const enum policy_action mixed[] = {
		POLICY_ALLOW, POLICY_ALLOW, POLICY_DENY, POLICY_PASS, POLICY_ALLOW, POLICY_LOG};
	bool is_calico = p->kind == POLICY_CALICO || p->kind == POLICY_CALICO_GLOBAL;
	unsigned int peers = draw(c, item, 3, 5) == 0 ? PEERS : draw(c, item, 4, 3);
	if (p->kind != POLICY_NETWORK)
		r->action = mixed[draw(c, item, 5, is_calico ? 6 : 5)];
	icmp_of(c, item + RULE_ICMP, is_calico ? 8 : RANDOM_ITEMS, &r->icmp);
	icmp_of(c, item + RULE_NOT_ICMP, is_calico ? 8 : RANDOM_ITEMS, &r->not_icmp);
	if (is_calico)
		protos_of(c, item, r);
	r->peers = mem_new(PEERS, sizeof(*r->peers));
	for (unsigned int i = 0; i < peers; i++) {
		if (!is_off(c, item + RULE_PEER + i))
			end_of(c, item + RULE_PEER + i, p, &r->peers[r->n_peers++]);
	}
	if (is_calico && is_rare(c, item + RULE_SELF, 5))
		end_of(c, item + RULE_SELF, p, &r->self);
	numbers_of(c, item, is_calico, r);
}

static void policy_rules(const struct random_case *c, unsigned int item, struct policy *p)
{
	unsigned int types = draw(c, item, 30, 3);
	p->applies[POLICY_INGRESS] = types != 1;
	p->applies[POLICY_EGRESS] = types != 0;
	for (unsigned int d = 0; d < POLICY_DIRECTIONS; d++) {
		p->rules[d] = mem_new(RULES, sizeof(struct policy_rule));
		for (unsigned int r = 0; r < RULES; r++) {
			unsigned int at = item + 1 + (d * RULES + r) * RULE_ITEMS;
			if (is_there(c, at, 3))
				rule_of(c, at, p, &p->rules[d][p->n_rules[d]++]);
		}
	}
}

static void policy_place(const struct random_case *c, unsigned int item, struct policy *p)
{
	static const char *const tiers[] = {POLICY_TIER_DEFAULT, "t0", "t1", "t2"};
	const char *tier = POLICY_TIER_DEFAULT;
	if (p->kind == POLICY_CLUSTER)
		tier = draw(c, item, 5, 2) ? POLICY_TIER_ADMIN : POLICY_TIER_BASELINE;
	else if (p->kind != POLICY_NETWORK)
		tier = tiers[draw(c, item, 6, COUNT(tiers))];
	(void)text_copy(p->tier, sizeof(p->tier), tier);
	p->order = p->kind == POLICY_NETWORK ? POLICY_ORDER_LAST : draw(c, item, 7, 4);
	p->staged = p->kind > POLICY_CLUSTER && draw(c, item, 8, 6) == 0;
	if (p->kind == POLICY_NETWORK || p->kind == POLICY_CALICO)
		name_of(p->namespace, sizeof(p->namespace), 'n', draw(c, item, 9, NAMESPACES));
	else if (draw(c, item, 10, 2) == 0)
		p->namespaces = selector_of(c, item, 11);
	if (draw(c, item, 17, 3) != 0)
		p->pods = selector_of(c, item, 18);
	if (p->kind > POLICY_CLUSTER && draw(c, item, 24, 6) == 0)
		p->accounts = selector_of(c, item, 25);
}

static struct policy *policy_of(const struct random_case *c, unsigned int i)
{
	unsigned int item = ITEM_POLICY + i * POLICY_ITEMS;
	struct policy *p = mem_new(1, sizeof(*p));
	p->kind = (enum policy_kind)draw(c, item, 4, POLICY_KINDS);
	name_of(p->name, sizeof(p->name), 'y', i);
	policy_place(c, item, p);
	policy_rules(c, item, p);
	return p;
}

static enum policy_source source_of(const struct policy *p)
{
	return p->kind == POLICY_NETWORK   ? POLICY_FROM_NETWORK_POLICIES
	       : p->kind == POLICY_CLUSTER ? POLICY_FROM_CLUSTER_POLICIES
					   : POLICY_FROM_STORE;
}

static void tell_policies(const struct random_case *c, struct policy_world *w)
{
	static const enum policy_source sources[] = {
		POLICY_FROM_NETWORK_POLICIES, POLICY_FROM_CLUSTER_POLICIES, POLICY_FROM_STORE};
	for (size_t i = 0; i < COUNT(sources); i++)
		policy_world_begin(w, sources[i]);
	for (unsigned int i = 0; i < POLICIES; i++) {
		if (!is_there(c, ITEM_POLICY + i * POLICY_ITEMS, 3))
			continue;
		struct policy *p = policy_of(c, i);
		(void)policy_world_put_policy(w, source_of(p), p);
	}
	for (unsigned int i = 0; i < NETSETS; i++) {
		if (is_there(c, ITEM_NETSET + i, 6))
			put_netset(c, i, w);
	}
	for (unsigned int i = 0; i < TIERS; i++) {
		unsigned int item = ITEM_TIER + i;
		struct policy_tier t = {.order = draw(c, item, 1, 3) * 800000.0,
			.end = draw(c, item, 2, 2) ? POLICY_DENY : POLICY_PASS};
		name_of(t.name, sizeof(t.name), 't', i);
		if (is_there(c, item, 6))
			(void)policy_world_put_tier(w, &t);
	}
	for (size_t i = 0; i < COUNT(sources); i++)
		policy_world_end(w, sources[i]);
}

void random_tell(const struct random_case *c, struct policy_world *w)
{
	tell_namespaces(c, w);
	tell_pods(c, w);
	tell_policies(c, w);
}

/* What is asked */

static bool pod_owns_all(const struct policy_world *w, const struct policy_pod *p)
{
	for (size_t i = 0; i < p->n_addrs; i++) {
		if (policy_world_owner(w, &p->addrs[i]) != p)
			return false;
	}
	return p->n_addrs > 0;
}

size_t random_locals(const struct random_case *c, const struct policy_world *w,
	struct policy_local out[RANDOM_PODS])
{
	size_t n = 0, all;
	const struct policy_pod *const *pods = policy_world_pods(w, &all);
	for (size_t i = 0; i < all; i++) {
		const struct policy_pod *p = pods[i];
		unsigned int number = (unsigned int)strtoul(p->name + 1, NULL, 10);
		if (!pod_owns_all(w, p) || draw(c, ITEM_POD + number, 90, 5) == 0)
			continue;
		struct policy_local *l = &out[n++];
		*l = (struct policy_local){.link = RANDOM_LINK + (int)number};
		(void)text_copy(l->namespace, sizeof(l->namespace), p->namespace);
		(void)text_copy(l->name, sizeof(l->name), p->name);
		(void)text_copy(l->uid, sizeof(l->uid), p->uid);
		memcpy(l->addrs, p->addrs, sizeof(l->addrs));
		l->n_addrs = p->n_addrs;
	}
	return n;
}

size_t random_ends(const struct random_case *c, struct addr out[RANDOM_ENDS])
{
	static const char *const others[] = {"192.0.2.1", "192.0.2.200", "255.255.255.255",
		"10.0.0.77", "2001:db8::1", "ffff::1", "fd00::77"};
	size_t n = 0;
	(void)c;
	for (unsigned int i = 0; i < RANDOM_PODS; i++) {
		out[n++] = pod_addr(i, AF_INET);
		out[n++] = pod_addr(i, AF_INET6);
	}
	for (size_t i = 0; i < COUNT(others); i++)
		out[n++] = addr_of(others[i]);
	return n;
}

struct policy_flow random_flow(
	const struct random_case *c, unsigned int n, const struct addr *from, const struct addr *to)
{
	static const uint8_t kinds[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP,
		IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, IPPROTO_ICMPV6, 47};
	unsigned int item = RANDOM_ITEMS + n;
	struct policy_flow f = {.source = *from,
		.destination = *to,
		.proto = kinds[hash_number(c, item, 1, 0) % COUNT(kinds)],
		.icmp_type = -1,
		.icmp_code = -1};
	if (f.proto == IPPROTO_ICMP || f.proto == IPPROTO_ICMPV6) {
		f.icmp_type = (int16_t)(hash_number(c, item, 2, 0) % 2 ? 8 : 3);
		f.icmp_code = (int16_t)(hash_number(c, item, 3, 0) % 3);
	} else if (f.proto != 47) {
		f.sport = (uint16_t)(numbers[hash_number(c, item, 4, 0) % COUNT(numbers)] +
				     hash_number(c, item, 5, 0) % 3);
		f.dport = (uint16_t)(numbers[hash_number(c, item, 6, 0) % COUNT(numbers)] +
				     hash_number(c, item, 7, 0) % 3);
	}
	return f;
}

/* Text */

static void say_selector(const char *what, const struct policy_selector *s, struct text *out)
{
	if (s)
		text_add(out, " %s(%s)", what, policy_selector_text(s));
}

static void say_end(const char *what, const struct policy_end *e, struct text *out)
{
	text_add(out, "    %s:%s%s%s", what, e->nobody ? " nobody" : "", e->own[0] ? " own " : "",
		e->own);
	say_selector("namespaces", e->namespaces, out);
	say_selector("pods", e->pods, out);
	say_selector("not", e->not_pods, out);
	say_selector("accounts", e->accounts, out);
	for (size_t i = 0; i < e->n_account_names; i++)
		text_add(out, " account %s", e->account_names[i]);
	for (size_t i = 0; i < e->n_nets; i++) {
		text_add(out, " %s", CIDR_STRING(&e->nets[i].net));
		for (size_t k = 0; k < e->nets[i].n_excepts; k++)
			text_add(out, " except %s", CIDR_STRING(&e->nets[i].excepts[k]));
	}
	for (size_t i = 0; i < e->n_not_nets; i++)
		text_add(out, " not %s", CIDR_STRING(&e->not_nets[i]));
	text_add(out, "%s\n", e->has_sets ? " or sets" : "");
}

static void say_ports(const char *what, const struct policy_port *p, size_t n, struct text *out)
{
	for (size_t i = 0; i < n; i++)
		text_add(out, "    %s %u %s %u-%u\n", what, p[i].proto, p[i].name, p[i].first,
			p[i].last);
}

static void say_rule(const struct policy_rule *r, struct text *out)
{
	static const char *const actions[] = {"allow", "deny", "pass", "log"};
	text_add(out, "  %s family %u proto %u not %u icmp %d/%d not %d/%d\n", actions[r->action],
		r->family, r->proto, r->not_proto, r->icmp.type, r->icmp.code, r->not_icmp.type,
		r->not_icmp.code);
	for (size_t i = 0; i < r->n_peers; i++)
		say_end("peer", &r->peers[i], out);
	say_end("self", &r->self, out);
	say_ports("port", r->ports, r->n_ports, out);
	say_ports("not port", r->not_ports, r->n_not_ports, out);
	say_ports("source", r->sources, r->n_sources, out);
	say_ports("not source", r->not_sources, r->n_not_sources, out);
}

static void say_policy(const struct policy *p, struct text *out)
{
	static const char *const directions[] = {"ingress", "egress"};
	text_add(out, "%s tier %s order %g%s", POLICY_STRING(p), p->tier, p->order,
		p->staged ? " staged" : "");
	say_selector("namespaces", p->namespaces, out);
	say_selector("pods", p->pods, out);
	say_selector("accounts", p->accounts, out);
	text_add(out, "\n");
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		if (p->applies[d])
			text_add(out, " %s:\n", directions[d]);
		for (size_t i = 0; p->applies[d] && i < p->n_rules[d]; i++)
			say_rule(&p->rules[d][i], out);
	}
}

static void say_labels(const struct policy_labels *l, struct text *out)
{
	for (size_t i = 0; i < l->n; i++)
		text_add(out, " %s=%s", l->v[i].key, l->v[i].value);
}

static void say_pods(const struct policy_world *w, struct text *out)
{
	size_t n;
	const struct policy_pod *const *pods = policy_world_pods(w, &n);
	for (size_t i = 0; i < n; i++) {
		const struct policy_pod *p = pods[i];
		text_add(out, "pod %s/%s account %s%s%s", p->namespace, p->name, p->account,
			p->on_host ? " on host" : "", p->is_over ? " over" : "");
		for (size_t k = 0; k < p->n_addrs; k++)
			text_add(out, " %s", ADDR_STRING(&p->addrs[k]));
		say_labels(&p->labels, out);
		for (size_t k = 0; k < p->n_ports; k++)
			text_add(out, " port %s/%u=%u", p->ports[k].name, p->ports[k].proto,
				p->ports[k].first);
		text_add(out, "\n");
	}
}

void random_describe(const struct random_case *c, struct text *out)
{
	struct policy_world *w = policy_world_new();
	size_t n;
	random_tell(c, w);
	const struct policy_namespace *const *namespaces = policy_world_namespaces(w, &n);
	for (size_t i = 0; i < n; i++) {
		text_add(out, "namespace %s", namespaces[i]->name);
		say_labels(&namespaces[i]->labels, out);
		text_add(out, "\n");
	}
	say_pods(w, out);
	const struct policy_netset *const *sets = policy_world_netsets(w, &n);
	for (size_t i = 0; i < n; i++) {
		text_add(out, "set %s/%s", sets[i]->namespace, sets[i]->name);
		say_labels(&sets[i]->labels, out);
		for (size_t k = 0; k < sets[i]->n_nets; k++)
			text_add(out, " %s", CIDR_STRING(&sets[i]->nets[k]));
		text_add(out, "\n");
	}
	const struct policy *const *policies = policy_world_policies(w, &n);
	for (size_t i = 0; i < n; i++)
		say_policy(policies[i], out);
	policy_world_free(w);
}

/* Whether two cases have the same to say in every step, tiers and accounts aside. */
static bool are_alike(const struct random_case *a, const struct random_case *b)
{
	bool alike = true;
	for (unsigned int step = 0; step <= a->step && alike; step++) {
		CLEANUP_TEXT struct text one = {0}, other = {0};
		struct random_case x = *a, y = *b;
		x.step = y.step = step;
		random_describe(&x, &one);
		random_describe(&y, &other);
		alike = one.len == other.len && (!one.len || !memcmp(one.buf, other.buf, one.len));
	}
	return alike;
}

void random_shrink(struct random_case *c, bool (*still_wrong)(const struct random_case *, void *),
	void *context)
{
	static const struct {
		unsigned int first, step;
	} passes[] = {{ITEM_POLICY, POLICY_ITEMS}, {0, 1}}; /* whole policies, then everything */
	for (size_t pass = 0; pass < COUNT(passes); pass++) {
		for (unsigned int i = passes[pass].first; i < RANDOM_ITEMS;
			i += passes[pass].step) {
			struct random_case less = *c;
			less.off[i / 8] |= (uint8_t)(1 << (i % 8));
			bool shown = i < ITEM_ACCOUNT || i >= ITEM_POLICY;
			if (!is_off(c, i) && !(shown && are_alike(c, &less)) &&
				still_wrong(&less, context))
				*c = less;
		}
	}
}
