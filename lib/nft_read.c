/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table as the kernel lists it: chains, rules, sets, the elements of each, counters. Each is a dump
 * of its own; when something changed in between all are read again.
 *
 * Intervals of one field come as two elements each, in no promised order: sorted, an end behind a start
 * closes it. One without an end goes to the last key.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/nft_impl.h"
#include "lib/nft.h"
#include "lib/text.h"

#define ATTEMPTS 5

/* A bound of an interval. */
struct nft_bound {
	uint8_t key[NFT_FIELDS * 16];
	bool ends;
	uint8_t data[sizeof(struct nft_verdict)];
};

struct nft_reading {
	struct nft_table *table;
	struct nft_set *set;	  /* whose elements are read */
	struct nft_bound *bounds; /* of it */
	size_t n_bounds, room;
};

static bool nft_is_ours(const struct nft_reading *g, uint32_t family, const char *table)
{
	return family == g->table->family && strcmp(table, g->table->name) == 0;
}

static struct nft_chain nft_chain_of(const struct nftnl_chain *x)
{
	struct nft_chain c = {0};
	(void)text_copy(c.name, sizeof(c.name), nftnl_chain_get_str(x, NFTNL_CHAIN_NAME));
	if (!nftnl_chain_is_set(x, NFTNL_CHAIN_HOOKNUM))
		return c;
	(void)text_copy(c.type, sizeof(c.type), nftnl_chain_get_str(x, NFTNL_CHAIN_TYPE));
	c.hook = nftnl_chain_get_u32(x, NFTNL_CHAIN_HOOKNUM);
	c.priority = nftnl_chain_get_s32(x, NFTNL_CHAIN_PRIO);
	c.policy = nftnl_chain_get_u32(x, NFTNL_CHAIN_POLICY);
	return c;
}

static void nft_take_chain(const struct nlmsghdr *reply, void *arg)
{
	struct nft_reading *g = arg;
	struct nftnl_chain *x = nftnl_chain_alloc();
	if (x && nftnl_chain_nlmsg_parse(reply, x) == 0 &&
		nft_is_ours(g, nftnl_chain_get_u32(x, NFTNL_CHAIN_FAMILY),
			nftnl_chain_get_str(x, NFTNL_CHAIN_TABLE))) {
		struct nft_chain c = nft_chain_of(x);
		(void)nft_table_chain(g->table, c.name, &c);
	}
	nftnl_chain_free(x);
}

static void nft_take_rule(const struct nlmsghdr *reply, void *arg)
{
	struct nft_reading *g = arg;
	struct nft_rule r = {.rule = nftnl_rule_alloc()};
	if (!r.rule)
		err_abort("out of memory");
	(void)nftnl_rule_nlmsg_parse(reply, r.rule);
	const char *chain = nftnl_rule_get_str(r.rule, NFTNL_RULE_CHAIN);
	for (size_t i = 0; chain && i < g->table->n_chains; i++) {
		struct nft_chain *c = &g->table->chains[i];
		if (strncmp(c->name, chain, sizeof(c->name) - 1) != 0)
			continue;
		struct nft_rule *place = nft_chain_rule(c);
		nftnl_rule_free(place->rule);
		*place = r;
		return;
	}
	nftnl_rule_free(r.rule);
}

static void nft_take_set(const struct nlmsghdr *reply, void *arg)
{
	struct nft_reading *g = arg;
	struct nftnl_set *x = nftnl_set_alloc();
	if (!x || nftnl_set_nlmsg_parse(reply, x) < 0) {
		nftnl_set_free(x);
		return;
	}
	struct nft_set *s = nft_table_set(g->table, nftnl_set_get_str(x, NFTNL_SET_NAME),
		nftnl_set_get_u32(x, NFTNL_SET_FLAGS), NULL, 0);
	s->key_type = nftnl_set_get_u32(x, NFTNL_SET_KEY_TYPE);
	s->key_len = nftnl_set_get_u32(x, NFTNL_SET_KEY_LEN);
	s->strange = s->flags & NFT_SET_OBJECT || s->key_len > NFT_FIELDS * 16;
	if (s->flags & NFT_SET_MAP) {
		s->data_type = nftnl_set_get_u32(x, NFTNL_SET_DATA_TYPE);
		s->data_len = s->data_type == NFT_DATA_VERDICT
				      ? sizeof(struct nft_verdict)
				      : nftnl_set_get_u32(x, NFTNL_SET_DATA_LEN);
		s->strange = s->strange || s->data_len > sizeof(struct nft_verdict);
	}
	nftnl_set_free(x);
}

static void nft_take_counter(const struct nlmsghdr *reply, void *arg)
{
	struct nft_reading *g = arg;
	struct nftnl_obj *x = nftnl_obj_alloc();
	if (x && nftnl_obj_nlmsg_parse(reply, x) == 0 &&
		nftnl_obj_get_u32(x, NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER)
		nft_table_counter(g->table, nftnl_obj_get_str(x, NFTNL_OBJ_NAME));
	nftnl_obj_free(x);
}

/*
 * Elements.
 */

static void nft_read_data(const struct nft_set *s, struct nftnl_set_elem *x, uint8_t *out)
{
	uint32_t len = 0;
	memset(out, 0, sizeof(struct nft_verdict));
	if (s->data_type == NFT_DATA_VERDICT) {
		struct nft_verdict v = {
			.code = (int32_t)nftnl_set_elem_get_u32(x, NFTNL_SET_ELEM_VERDICT)};
		const char *chain = nftnl_set_elem_get_str(x, NFTNL_SET_ELEM_CHAIN);
		(void)text_copy(v.chain, sizeof(v.chain), chain ? chain : "");
		memcpy(out, &v, sizeof(v));
		return;
	}
	const void *data = nftnl_set_elem_get(x, NFTNL_SET_ELEM_DATA, &len);
	if (data && len <= s->data_len)
		memcpy(out, data, len);
}

static int nft_take_element(struct nftnl_set_elem *x, void *arg)
{
	struct nft_reading *g = arg;
	struct nft_set *s = g->set;
	uint32_t len = 0, len_end = 0;
	uint32_t flags = nftnl_set_elem_is_set(x, NFTNL_SET_ELEM_FLAGS)
				 ? nftnl_set_elem_get_u32(x, NFTNL_SET_ELEM_FLAGS)
				 : 0;
	const uint8_t *key = nftnl_set_elem_get(x, NFTNL_SET_ELEM_KEY, &len);
	const uint8_t *end = nftnl_set_elem_get(x, NFTNL_SET_ELEM_KEY_END, &len_end);
	if (!key || len != s->key_len || (end && len_end != len)) {
		s->strange = true;
		return 0;
	}
	g->bounds = mem_grow(g->bounds, &g->room, g->n_bounds, sizeof(*g->bounds));
	struct nft_bound *b = &g->bounds[g->n_bounds];
	memset(b, 0, sizeof(*b));
	memcpy(b->key, key, len);
	nft_read_data(s, x, b->data);
	if (nft_set_is_split(s)) {
		b->ends = flags & NFT_SET_ELEM_INTERVAL_END;
		g->n_bounds++;
	} else {
		nft_set_add(s, key, end, s->data_len ? b->data : NULL);
	}
	return 0;
}

static int nft_compare_bounds(const void *a, const void *b)
{
	const struct nft_bound *x = a, *y = b;
	int r = memcmp(x->key, y->key, sizeof(x->key));
	return r ? r : y->ends - x->ends;
}

static void nft_join_bounds(struct nft_reading *g)
{
	struct nft_set *s = g->set;
	if (g->n_bounds)
		qsort(g->bounds, g->n_bounds, sizeof(*g->bounds), nft_compare_bounds);
	for (size_t i = 0; i < g->n_bounds; i++) {
		const struct nft_bound *b = &g->bounds[i];
		uint8_t last[NFT_FIELDS * 16];
		memset(last, 0xff, sizeof(last));
		if (b->ends)
			continue;
		if (i + 1 < g->n_bounds) {
			memcpy(last, b[1].key, s->key_len);
			nft_key_previous(last, s->key_len);
		}
		nft_set_add(s, b->key, last, s->data_len ? b->data : NULL);
	}
	g->n_bounds = 0;
}

static void nft_take_elements(const struct nlmsghdr *reply, void *arg)
{
	struct nft_reading *g = arg;
	struct nftnl_set *x = nftnl_set_alloc();
	if (x && nftnl_set_elems_nlmsg_parse(reply, x) == 0)
		(void)nftnl_set_elem_foreach(x, nft_take_element, g);
	else
		g->set->strange = true;
	nftnl_set_free(x);
}

/* A hash that grew while it was being listed: the kernel goes on by the number of those that it has told, in
 * another order, so that some come twice and some never. */
static bool nft_was_rebuilt(struct nft_set *s)
{
	size_t told = s->n;
	if (nft_set_is_split(s))
		return false;
	nft_set_sort(s);
	return s->n != told;
}

static int nft_read_elements_of(
	struct nft *n, struct nft_reading *g, struct nft_set *s, struct err *e)
{
	struct nlmsghdr *m =
		nft_batch_question(&n->batch, NFT_MSG_GETSETELEM, NLM_F_DUMP, g->table->family);
	netlink_put_text(m, NFTA_SET_ELEM_LIST_TABLE, g->table->name);
	netlink_put_text(m, NFTA_SET_ELEM_LIST_SET, s->name);
	g->set = s;
	int r = nft_batch_ask(&n->batch, nft_take_elements, g, e);
	nft_join_bounds(g);
	if (r >= 0 && nft_was_rebuilt(s))
		return err_set(e, EINTR, "set %s grew while it was being listed", s->name);
	return r;
}

static int nft_read_elements(struct nft *n, struct nft_reading *g, struct err *e)
{
	struct nft_table *t = g->table;
	int r = 0;
	for (size_t i = 0; i < t->n_sets && r >= 0; i++)
		if (!t->sets[i].strange)
			r = nft_read_elements_of(n, g, &t->sets[i], e);
	free(g->bounds);
	return r;
}

int nft_read_set(struct nft *n, uint8_t family, const char *table, struct nft_set *s, struct err *e)
{
	struct nft_table t = {.family = family};
	struct nft_reading g = {.table = &t};
	int r = -EINTR;
	(void)text_copy(t.name, sizeof(t.name), table);
	for (int i = 0; i < ATTEMPTS && r == -EINTR; i++) {
		s->n = 0;
		r = nft_read_elements_of(n, &g, s, e);
	}
	free(g.bounds);
	return r;
}

/*
 * The whole.
 */

static void nft_take_table(const struct nlmsghdr *reply, void *arg)
{
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct nfgenmsg))
		if (netlink_type(attr) == NFTA_TABLE_FLAGS)
			((struct nft_table *)arg)->flags = netlink_be32(attr);
}

/* The table is the first attribute of every kind of question. */
static int nft_list(
	struct nft *n, uint16_t type, nft_batch_reply_fn *fn, struct nft_reading *g, struct err *e)
{
	struct nlmsghdr *m = nft_batch_question(&n->batch, type, NLM_F_DUMP, g->table->family);
	netlink_put_text(m, NFTA_TABLE_NAME, g->table->name);
	return nft_batch_ask(&n->batch, fn, g, e);
}

static int nft_read_once(struct nft *n, struct nft_table *t, struct err *e)
{
	struct nft_reading g = {.table = t};
	struct nlmsghdr *m = nft_batch_question(&n->batch, NFT_MSG_GETTABLE, 0, t->family);
	netlink_put_text(m, NFTA_TABLE_NAME, t->name);
	int r = nft_batch_ask(&n->batch, nft_take_table, t, e);
	if (r >= 0)
		r = nft_list(n, NFT_MSG_GETCHAIN, nft_take_chain, &g, e);
	if (r >= 0)
		r = nft_list(n, NFT_MSG_GETRULE, nft_take_rule, &g, e);
	if (r >= 0)
		r = nft_list(n, NFT_MSG_GETSET, nft_take_set, &g, e);
	if (r >= 0)
		r = nft_list(n, NFT_MSG_GETOBJ, nft_take_counter, &g, e);
	return r < 0 ? r : nft_read_elements(n, &g, e);
}

int nft_read(struct nft *n, uint8_t family, const char *name, struct nft_table **out, struct err *e)
{
	uint32_t before = 0, after = 0;
	for (int i = 0; i < ATTEMPTS; i++) {
		struct nft_table *t = nft_table_new(family, name);
		int r = nft_batch_generation(&n->batch, &before, e);
		if (r >= 0)
			r = nft_read_once(n, t, e);
		if (r >= 0)
			r = nft_batch_generation(&n->batch, &after, e);
		if (r >= 0 && before == after) {
			*out = t;
			return 0;
		}
		nft_table_free(t);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return err_set(e, EINTR, "nf_tables changes faster than it can be listed");
}

struct nft_base_chains {
	struct nft_base_chain *v;
	size_t n, room;
};

static void nft_take_base_chain(const struct nlmsghdr *reply, void *arg)
{
	struct nft_base_chains *l = arg;
	struct nftnl_chain *x = nftnl_chain_alloc();
	if (x && nftnl_chain_nlmsg_parse(reply, x) == 0 &&
		nftnl_chain_is_set(x, NFTNL_CHAIN_HOOKNUM)) {
		struct nft_chain c = nft_chain_of(x);
		l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
		struct nft_base_chain *b = &l->v[l->n++];
		b->family = (uint8_t)nftnl_chain_get_u32(x, NFTNL_CHAIN_FAMILY);
		b->hook = c.hook;
		b->policy = c.policy;
		(void)text_copy(b->table, NFT_NAME, nftnl_chain_get_str(x, NFTNL_CHAIN_TABLE));
		(void)text_copy(b->chain, NFT_NAME, c.name);
	}
	nftnl_chain_free(x);
}

int nft_base_chains(struct nft *n, struct nft_base_chain **out, size_t *count, struct err *e)
{
	struct nft_base_chains l = {0};
	int r = -EINTR;
	for (int i = 0; i < ATTEMPTS && r == -EINTR; i++) {
		l.n = 0;
		(void)nft_batch_question(&n->batch, NFT_MSG_GETCHAIN, NLM_F_DUMP, AF_UNSPEC);
		r = nft_batch_ask(&n->batch, nft_take_base_chain, &l, e);
	}
	if (r < 0) {
		free(l.v);
		return r;
	}
	*out = l.v;
	*count = l.n;
	return 0;
}

/* The counters that are read; whoever asked for one has one. */
struct nft_counting {
	struct nft_count *v;
	size_t n, room;
};

static int nft_take_remark(const struct nftnl_udata *u, void *arg)
{
	struct nft_count *c = arg;
	const char *text = nftnl_udata_get(u);
	size_t n = nftnl_udata_len(u);
	if (nftnl_udata_type(u) == NFTNL_UDATA_OBJ_COMMENT && n && text[n - 1] == '\0')
		(void)text_copy(c->remark, sizeof(c->remark), text);
	return 0;
}

static void nft_take_count(const struct nlmsghdr *reply, void *arg)
{
	struct nft_counting *l = arg;
	struct nftnl_obj *x = nftnl_obj_alloc();
	if (x && nftnl_obj_nlmsg_parse(reply, x) == 0 &&
		nftnl_obj_get_u32(x, NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER) {
		l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
		struct nft_count *c = &l->v[l->n++];
		uint32_t size = 0;
		const void *remark = nftnl_obj_get_data(x, NFTNL_OBJ_USERDATA, &size);
		*c = (struct nft_count){0};
		(void)text_copy(c->name, sizeof(c->name), nftnl_obj_get_str(x, NFTNL_OBJ_NAME));
		c->packets = nftnl_obj_get_u64(x, NFTNL_OBJ_CTR_PKTS);
		c->bytes = nftnl_obj_get_u64(x, NFTNL_OBJ_CTR_BYTES);
		if (remark)
			(void)nftnl_udata_parse(remark, size, nft_take_remark, c);
	}
	nftnl_obj_free(x);
}

int nft_read_counter(struct nft *n, const struct nft_table *t, const char *name, uint64_t *packets,
	uint64_t *bytes, struct err *e)
{
	struct nft_counting l = {0};
	struct nlmsghdr *m = nft_batch_question(&n->batch, NFT_MSG_GETOBJ, 0, t->family);
	netlink_put_text(m, NFTA_OBJ_TABLE, t->name);
	netlink_put_text(m, NFTA_OBJ_NAME, name);
	netlink_put_be32(m, NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
	int r = nft_batch_ask(&n->batch, nft_take_count, &l, e);
	if (r >= 0) {
		*packets = l.n ? l.v[0].packets : 0;
		*bytes = l.n ? l.v[0].bytes : 0;
	}
	free(l.v);
	return r < 0 ? r : 0;
}

int nft_read_counters(struct nft *n, uint8_t family, const char *table, struct nft_count **out,
	size_t *count, struct err *e)
{
	struct nft_counting l = {0};
	int r = -EINTR;
	for (int i = 0; i < ATTEMPTS && r == -EINTR; i++) {
		struct nlmsghdr *m =
			nft_batch_question(&n->batch, NFT_MSG_GETOBJ, NLM_F_DUMP, family);
		l.n = 0;
		netlink_put_text(m, NFTA_OBJ_TABLE, table);
		r = nft_batch_ask(&n->batch, nft_take_count, &l, e);
	}
	if (r < 0) {
		free(l.v);
		return r;
	}
	*out = l.v;
	*count = l.n;
	return 0;
}
