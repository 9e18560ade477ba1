/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 	table inet roost-policy {
 * 		map eg { type iface_index : verdict; }	# in, host
 * 		chain eg {
 * 			type filter hook forward priority -10; policy accept;
 * 			ct mark & CUT != 0 counter name cut drop
 * 			ct state established,related accept
 * 			iif vmap @eg
 * 			iifgroup & 0xfffffff9 == 8209 counter name pending drop
 * 		}
 * 		chain in { ... priority -9; the same with oif, @in, & 0xfffffffa == 8210; no mark }
 * 		chain host { hook input; as eg with @host, & 0xfffffffc == 8212; neighbour discovery passes }
 * 	}
 *
 * The same table without a rule set is lib/policy_gate.h's, for ADD without an agent.
 *
 * A verdict of accept ends the base chain that it was given in, and the packet meets the next one; drop is final.
 * So a packet between two pods of this node is judged by both without a mark of its own.
 *
 * Connections that are cut are dropped in eg alone, whichever way a packet goes: eg sees all that is forwarded.
 *
 * What a pod with policies sends is asked first whether it is a packet of a tunnel: at the far end that would come out
 * behind the policies, as a packet of this node.
 *
 * The kernel's limit fails a rule, so a rule that logs becomes two: one that asks the same and logs, one
 * that counts and decides.
 */
#include "agent/policy/policy_nft.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/nft_rule.h"
#include "lib/owned.h"
#include "lib/text.h"

#define PRIORITY_EGRESS (-10)
#define PRIORITY_INGRESS (-9)
#define LOG_BYTES 128 /* of a packet: headers, and the first of what follows */
#define LOG_RATE 5    /* packets a second of one rule */
#define LOG_BURST 10
#define ND_FIRST 133 /* router solicitation ... redirect */
#define ND_LAST 137

const char *policy_map_name(enum policy_map m)
{
	static const char *const names[POLICY_MAPS] = {[POLICY_MAP_EGRESS] = "eg",
		[POLICY_MAP_INGRESS] = "in",
		[POLICY_MAP_HOST] = "host"};
	return names[m];
}

bool policy_nft_counts(const char *name)
{
	return strcmp(name, POLICY_COUNTER_PENDING) == 0 || strcmp(name, POLICY_COUNTER_CUT) == 0;
}

/*
 * Sets.
 */

static const enum nft_type addr_types[FAMILIES] = {NFT_IPV4, NFT_IPV6};

static struct nft_set *policy_set_new(struct nft_table *t, const struct policy_set *s)
{
	enum nft_type ip = addr_types[s->family];
	switch (s->kind) {
	case POLICY_SET_ADDRS:
		return nft_table_set(t, s->name, 0, &ip, 1);
	case POLICY_SET_NETS:
		return nft_table_set(t, s->name, NFT_SET_INTERVAL, &ip, 1);
	case POLICY_SET_PORTS:
		return nft_table_set(t, s->name, 0, (enum nft_type[]){NFT_PROTO, NFT_PORT}, 2);
	case POLICY_SET_ADDR_PORTS:
		return nft_table_set(t, s->name, 0, (enum nft_type[]){ip, NFT_PROTO, NFT_PORT}, 3);
	case POLICY_SET_LINK_PAIRS:
		break;
	}
	return nft_table_set(t, s->name, 0, (enum nft_type[]){NFT_IFINDEX, NFT_IFINDEX}, 2);
}

void policy_nft_put_set(struct nft_table *t, const struct policy_set *set)
{
	struct nft_set *s = policy_set_new(t, set);
	const struct policy_elements *e = set->elements;
	assert(!e || !e->n || e->stride == nft_set_stride(s));
	for (size_t i = 0; e && i < e->n; i++) {
		const uint8_t *at = e->bytes + i * e->stride;
		nft_set_add(s, at, at + e->stride - s->key_len, NULL);
	}
}

static void policy_map_add(struct nft_set *s, int link, const char *chain)
{
	uint32_t key = (uint32_t)link;
	struct nft_verdict v = {.code = *chain ? NFT_GOTO : NF_ACCEPT};
	(void)text_copy(v.chain, sizeof(v.chain), chain);
	nft_set_add(s, &key, NULL, &v);
}

void policy_nft_put_maps(struct nft_table *t, const struct policy_ruleset *r)
{
	const enum nft_type type = NFT_IFINDEX;
	for (enum policy_map m = 0; m < POLICY_MAPS; m++) {
		struct nft_set *s = nft_table_set(t, policy_map_name(m), 0, &type, 1);
		nft_set_verdicts(s);
		for (size_t i = 0; i < r->n_dispatch; i++) {
			const struct policy_dispatch *d = &r->dispatch[i];
			policy_map_add(s, d->link,
				m == POLICY_MAP_EGRESS	  ? d->egress
				: m == POLICY_MAP_INGRESS ? d->ingress
							  : d->to_host);
		}
	}
}

/*
 * Rules.
 */

/* What the tests of a rule have asked for already. */
struct policy_asked {
	int family; /* AF_*; 0: not yet */
};

static void policy_ask_family(struct nft_rule *r, struct policy_asked *a, enum family f)
{
	if (a->family == family_af(f))
		return;
	nft_match_family(r, f);
	a->family = family_af(f);
}

/* nft_lookup() takes no more of a set than its name. */
static void policy_look_up(struct nft_rule *r, const char *name, bool negated)
{
	struct nft_set s = {0};
	(void)text_copy(s.name, sizeof(s.name), name);
	nft_lookup(r, &s, negated);
}

static void policy_test_port(struct nft_rule *r, const struct policy_test *t)
{
	uint16_t from = htons(t->from), to = htons(t->to);
	nft_load_port(r, t->kind == POLICY_TEST_SPORT);
	if (from == to)
		nft_compare(r, t->negated ? NFT_CMP_NEQ : NFT_CMP_EQ, &from, sizeof(from));
	else
		nft_within(r, &from, &to, sizeof(from), t->negated);
}

static void policy_test_byte(struct nft_rule *r, const struct policy_test *t, uint32_t offset)
{
	uint8_t value = (uint8_t)t->from;
	nft_load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, offset, sizeof(value));
	nft_compare(r, t->negated ? NFT_CMP_NEQ : NFT_CMP_EQ, &value, sizeof(value));
}

static void policy_test_proto(struct nft_rule *r, const struct policy_test *t)
{
	uint8_t value = (uint8_t)t->from;
	nft_load_meta(r, NFT_META_L4PROTO);
	nft_compare(r, t->negated ? NFT_CMP_NEQ : NFT_CMP_EQ, &value, sizeof(value));
}

static void policy_test_family(
	struct nft_rule *r, struct policy_asked *a, const struct policy_test *t)
{
	enum family f = family_of(t->from);
	policy_ask_family(r, a, t->negated ? (f == IPV4 ? IPV6 : IPV4) : f);
}

static void policy_put_test(struct nft_rule *r, struct policy_asked *a, const struct policy_test *t)
{
	switch (t->kind) {
	case POLICY_TEST_FAMILY:
		policy_test_family(r, a, t);
		return;
	case POLICY_TEST_SOURCE:
	case POLICY_TEST_DESTINATION:
		policy_ask_family(r, a, t->family);
		nft_load_addr(r, t->family, t->kind == POLICY_TEST_SOURCE);
		break;
	case POLICY_TEST_PROTO:
		policy_test_proto(r, t);
		return;
	case POLICY_TEST_SPORT:
	case POLICY_TEST_DPORT:
		policy_test_port(r, t);
		return;
	case POLICY_TEST_ADDR_PROTO_DPORT:
		policy_ask_family(r, a, t->family);
		nft_load_addr(r, t->family, false);
		nft_load_meta(r, NFT_META_L4PROTO);
		nft_load_port(r, false);
		break;
	case POLICY_TEST_PROTO_SPORT:
	case POLICY_TEST_PROTO_DPORT:
		nft_load_meta(r, NFT_META_L4PROTO);
		nft_load_port(r, t->kind == POLICY_TEST_PROTO_SPORT);
		break;
	case POLICY_TEST_ICMP_TYPE:
	case POLICY_TEST_ICMP_CODE:
		policy_test_byte(r, t, t->kind == POLICY_TEST_ICMP_CODE);
		return;
	case POLICY_TEST_HAIRPIN:
		nft_load_meta(r, NFT_META_IIF);
		nft_load_meta(r, NFT_META_OIF);
		break;
	}
	policy_look_up(r, t->set, t->negated);
}

static struct nft_rule *policy_rule_new(struct nft_chain *c, const struct policy_chain_rule *x)
{
	struct nft_rule *r = nft_chain_rule(c);
	struct policy_asked asked = {0};
	for (size_t i = 0; i < x->n_tests; i++)
		policy_put_test(r, &asked, &x->tests[i]);
	return r;
}

static void policy_put_log(struct nft_rule *r, const char *prefix)
{
	nft_limit(r, LOG_RATE, LOG_BURST);
	nft_log(r, POLICY_LOG_GROUP, prefix, LOG_BYTES);
}

static void policy_put_verdict(struct nft_rule *r, const struct policy_chain_rule *x)
{
	static const int codes[] = {
		[POLICY_VERDICT_ACCEPT] = NF_ACCEPT,
		[POLICY_VERDICT_DROP] = NF_DROP,
		[POLICY_VERDICT_RETURN] = NFT_RETURN,
		[POLICY_VERDICT_JUMP] = NFT_JUMP,
		[POLICY_VERDICT_GOTO] = NFT_GOTO,
	};
	if (*x->counter)
		nft_count_in(r, x->counter);
	if (x->verdict != POLICY_VERDICT_NEXT)
		nft_rule_verdict(
			r, codes[x->verdict], x->verdict >= POLICY_VERDICT_JUMP ? x->chain : NULL);
}

static void policy_put_rule(struct nft_chain *c, const struct policy_writer_settings *s,
	const struct policy_chain_rule *x)
{
	if (*x->log && s->log)
		policy_put_log(policy_rule_new(c, x), x->log);
	if (*x->counter || x->verdict != POLICY_VERDICT_NEXT)
		policy_put_verdict(policy_rule_new(c, x), x);
}

/* Whether packets that come out of pods, to be forwarded, begin here. */
static bool policy_chain_is_egress(const struct policy_ruleset *r, const struct policy_chain *c)
{
	for (size_t i = 0; i < r->n_dispatch; i++)
		if (strcmp(r->dispatch[i].egress, c->name) == 0)
			return true;
	for (size_t i = 0; i < r->n_staged; i++)
		if (strcmp(r->staged[i].egress, c->name) == 0)
			return true;
	return false;
}

static void policy_put_tunnels(struct nft_chain *c, const struct policy_writer_settings *s)
{
	for (size_t i = 0; i < POLICY_TUNNEL_PORTS; i++) {
		uint16_t port = htons(s->tunnel_ports[i]);
		if (!port)
			continue;
		struct nft_rule *r = nft_chain_rule(c);
		nft_match_proto(r, IPPROTO_UDP);
		nft_load_port(r, false);
		nft_compare(r, NFT_CMP_EQ, &port, sizeof(port));
		nft_rule_verdict(r, NF_DROP, NULL);
	}
	if (!s->ipip)
		return;
	struct nft_rule *r = nft_chain_rule(c);
	nft_match_proto(r, IPPROTO_IPIP);
	nft_rule_verdict(r, NF_DROP, NULL);
}

void policy_nft_put_chain(struct nft_table *t, const struct policy_writer_settings *s,
	const struct policy_ruleset *r, const struct policy_chain *c)
{
	struct nft_chain *x = nft_table_chain(t, c->name, NULL);
	if (policy_chain_is_egress(r, c))
		policy_put_tunnels(x, s);
	for (size_t i = 0; i < c->n; i++)
		policy_put_rule(x, s, &c->rules[i]);
}

/*
 * The base chains.
 */

static void policy_put_cut(struct nft_chain *c, const struct policy_writer_settings *s)
{
	static const uint32_t none;
	if (!s->cut_mark)
		return;
	struct nft_rule *r = nft_chain_rule(c);
	nft_load_ct(r, NFT_CT_MARK);
	nft_mask(r, &s->cut_mark, sizeof(s->cut_mark));
	nft_compare(r, NFT_CMP_NEQ, &none, sizeof(none));
	nft_count_in(r, POLICY_COUNTER_CUT);
	nft_rule_verdict(r, NF_DROP, NULL);
}

static void policy_put_established(struct nft_chain *c)
{
	static const uint32_t none,
		states = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);
	struct nft_rule *r = nft_chain_rule(c);
	nft_load_ct(r, NFT_CT_STATE);
	nft_mask(r, &states, sizeof(states));
	nft_compare(r, NFT_CMP_NEQ, &none, sizeof(none));
	nft_rule_verdict(r, NF_ACCEPT, NULL);
}

static void policy_put_dispatch(struct nft_chain *c, enum policy_map m)
{
	struct nft_set s = {0};
	(void)text_copy(s.name, sizeof(s.name), policy_map_name(m));
	struct nft_rule *r = nft_chain_rule(c);
	nft_load_meta(r, m == POLICY_MAP_INGRESS ? NFT_META_OIF : NFT_META_IIF);
	nft_dispatch(r, &s);
}

static void policy_put_pending(
	struct nft_chain *c, const struct policy_writer_settings *s, enum policy_map m)
{
	static const uint32_t ways[POLICY_MAPS] = {
		[POLICY_MAP_EGRESS] = OWNED_PENDING_EGRESS,
		[POLICY_MAP_INGRESS] = OWNED_PENDING_INGRESS,
		[POLICY_MAP_HOST] = OWNED_PENDING_TO_HOST,
	};
	const bool in = m == POLICY_MAP_INGRESS;
	const uint32_t group = OWNED_PENDING_GROUP | ways[m];
	const uint32_t mask = ~(OWNED_PENDING_WAYS & ~ways[m]);
	for (int logs = s->log; logs >= 0; logs--) {
		struct nft_rule *r = nft_chain_rule(c);
		nft_load_meta(r, in ? NFT_META_OIFGROUP : NFT_META_IIFGROUP);
		nft_mask(r, &mask, sizeof(mask));
		nft_compare(r, NFT_CMP_EQ, &group, sizeof(group));
		if (logs) {
			policy_put_log(r, in ? "in pending" : "out pending");
			continue;
		}
		nft_count_in(r, POLICY_COUNTER_PENDING);
		nft_rule_verdict(r, NF_DROP, NULL);
	}
}

static struct nft_chain *policy_base_chain(
	struct nft_table *t, enum policy_map m, uint32_t hook, int32_t priority)
{
	struct nft_chain base = {
		.type = "filter", .hook = hook, .priority = priority, .policy = NF_ACCEPT};
	return nft_table_chain(t, policy_map_name(m), &base);
}

static void policy_put_forward(
	struct nft_table *t, const struct policy_writer_settings *s, enum policy_map m)
{
	const bool in = m == POLICY_MAP_INGRESS;
	struct nft_chain *c =
		policy_base_chain(t, m, NF_INET_FORWARD, in ? PRIORITY_INGRESS : PRIORITY_EGRESS);
	if (!in)
		policy_put_cut(c, s);
	policy_put_established(c);
	policy_put_dispatch(c, m);
	policy_put_pending(c, s, m);
}

static void policy_put_host(struct nft_table *t, const struct policy_writer_settings *s)
{
	static const uint8_t first = ND_FIRST, last = ND_LAST;
	struct nft_chain *c =
		policy_base_chain(t, POLICY_MAP_HOST, NF_INET_LOCAL_IN, PRIORITY_EGRESS);
	policy_put_cut(c, s);
	policy_put_established(c);
	struct nft_rule *r = nft_chain_rule(c);
	nft_match_proto(r, IPPROTO_ICMPV6);
	nft_load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof(first));
	nft_within(r, &first, &last, sizeof(first), false);
	nft_rule_verdict(r, NF_ACCEPT, NULL);
	policy_put_dispatch(c, POLICY_MAP_HOST);
	policy_put_pending(c, s, POLICY_MAP_HOST);
}

struct nft_table *policy_nft_new(
	const struct policy_writer_settings *s, const struct policy_ruleset *r)
{
	struct nft_table *t = nft_table_new(NFPROTO_INET, POLICY_TABLE);
	nft_table_counter(t, POLICY_COUNTER_PENDING);
	nft_table_counter(t, POLICY_COUNTER_CUT);
	for (size_t i = 0; i < r->n_counters; i++)
		if (!policy_nft_counts(r->counters[i]))
			nft_table_counter(t, r->counters[i]);
	policy_nft_put_maps(t, r);
	for (size_t i = 0; i < r->n_sets; i++)
		policy_nft_put_set(t, &r->sets[i]);
	policy_put_forward(t, s, POLICY_MAP_EGRESS);
	policy_put_forward(t, s, POLICY_MAP_INGRESS);
	policy_put_host(t, s);
	for (size_t i = 0; i < r->n_chains; i++)
		policy_nft_put_chain(t, s, r, &r->chains[i]);
	return t;
}
