/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table as messages, in an order in which nothing is named before it exists: chains and counters,
 * sets, elements (their verdicts name chains), rules.
 *
 * User data of sets is for nft(8) alone: in which order the bytes of a key are, and whether
 * neighbours are to be joined. Without it `nft list` shows keys turned round.
 */
#include <stdio.h> /* before libnftnl's */
#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/nft_impl.h"

#define SMALL 1024	 /* bytes of attributes of an object */
#define RULE 8192	 /* of a rule */
#define ELEMENTS 64512	 /* of a list of elements, which is a nest: less than 64 KiB */
#define ELEMENT_EXTRA 64 /* of an element: attributes' heads, flags */
#define HOST_ORDER 1
#define NETWORK_ORDER 2
#define NUMBER_MARK 19
#define NUMBER_IFINDEX 20
#define NUMBER_IFNAME 41

static void *nft_alloc(void *p)
{
	if (!p)
		err_abort("out of memory");
	return p;
}

void nft_put_delete(struct nft_batch *b, uint8_t family, const char *name)
{
	struct nlmsghdr *m = nft_batch_put(b, NFT_MSG_DELTABLE, 0, family, SMALL);
	netlink_put_text(m, NFTA_TABLE_NAME, name);
}

/* The table is attribute 1 and the name attribute 2, of each of these kinds. */
void nft_put_name(struct nft_batch *b, uint16_t type, const struct nft_table *t, const char *name)
{
	struct nlmsghdr *m = nft_batch_put(b, type, 0, t->family, SMALL);
	netlink_put_text(m, NFTA_OBJ_TABLE, t->name);
	netlink_put_text(m, type == NFT_MSG_DELCHAIN ? NFTA_CHAIN_NAME : NFTA_OBJ_NAME, name);
	if (type == NFT_MSG_DELOBJ)
		netlink_put_be32(m, NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
}

static void nft_put_chain(struct nft_batch *b, const struct nft_table *t, const struct nft_chain *c)
{
	struct nftnl_chain *x = nft_alloc(nftnl_chain_alloc());
	(void)nftnl_chain_set_str(x, NFTNL_CHAIN_TABLE, t->name);
	(void)nftnl_chain_set_str(x, NFTNL_CHAIN_NAME, c->name);
	if (*c->type) {
		(void)nftnl_chain_set_str(x, NFTNL_CHAIN_TYPE, c->type);
		nftnl_chain_set_u32(x, NFTNL_CHAIN_HOOKNUM, c->hook);
		nftnl_chain_set_s32(x, NFTNL_CHAIN_PRIO, c->priority);
		nftnl_chain_set_u32(x, NFTNL_CHAIN_POLICY, c->policy);
	}
	nftnl_chain_nlmsg_build_payload(
		nft_batch_put(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, t->family, SMALL), x);
	nftnl_chain_free(x);
}

static void nft_remark(struct nftnl_obj *x, const char *remark)
{
	struct nftnl_udata_buf *u = nft_alloc(nftnl_udata_buf_alloc(NFT_COMMENT + 8));
	(void)nftnl_udata_put_strz(u, NFTNL_UDATA_OBJ_COMMENT, remark);
	nftnl_obj_set_data(x, NFTNL_OBJ_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
}

static void nft_put_counter(struct nft_batch *b, const struct nft_table *t, const char *name)
{
	struct nftnl_obj *x = nft_alloc(nftnl_obj_alloc());
	nftnl_obj_set_str(x, NFTNL_OBJ_TABLE, t->name);
	nftnl_obj_set_str(x, NFTNL_OBJ_NAME, name);
	nftnl_obj_set_u32(x, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	if (*t->remark)
		nft_remark(x, t->remark);
	nftnl_obj_nlmsg_build_payload(
		nft_batch_put(b, NFT_MSG_NEWOBJ, NLM_F_CREATE, t->family, SMALL), x);
	nftnl_obj_free(x);
}

static void nft_put_rule(struct nft_batch *b, const struct nft_table *t, const struct nft_chain *c,
	const struct nft_rule *r)
{
	(void)nftnl_rule_set_str(r->rule, NFTNL_RULE_TABLE, t->name);
	(void)nftnl_rule_set_str(r->rule, NFTNL_RULE_CHAIN, c->name);
	nftnl_rule_nlmsg_build_payload(
		nft_batch_put(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, t->family, RULE),
		r->rule);
}

/*
 * Sets.
 */

static uint32_t nft_byte_order(uint32_t type)
{
	bool host = type == NUMBER_MARK || type == NUMBER_IFINDEX || type == NUMBER_IFNAME;
	return host ? HOST_ORDER : NETWORK_ORDER;
}

static void nft_set_userdata(struct nftnl_set *x, const struct nft_set *s)
{
	struct nftnl_udata_buf *u = nft_alloc(nftnl_udata_buf_alloc(64));
	(void)nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER, nft_byte_order(s->key_type));
	if (s->flags & NFT_SET_MAP && s->data_type != NFT_DATA_VERDICT)
		(void)nftnl_udata_put_u32(
			u, NFTNL_UDATA_SET_DATABYTEORDER, nft_byte_order(s->data_type));
	if (s->merges)
		(void)nftnl_udata_put_u32(u, NFTNL_UDATA_SET_MERGE_ELEMENTS, 1);
	(void)nftnl_set_set_data(
		x, NFTNL_SET_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
}

static void nft_put_set(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s)
{
	struct nftnl_set *x = nft_alloc(nftnl_set_alloc());
	(void)nftnl_set_set_str(x, NFTNL_SET_TABLE, t->name);
	(void)nftnl_set_set_str(x, NFTNL_SET_NAME, s->name);
	nftnl_set_set_u32(x, NFTNL_SET_FLAGS, s->flags);
	nftnl_set_set_u32(x, NFTNL_SET_ID, s->id);
	nftnl_set_set_u32(x, NFTNL_SET_KEY_TYPE, s->key_type);
	nftnl_set_set_u32(x, NFTNL_SET_KEY_LEN, s->key_len);
	if (s->flags & NFT_SET_MAP) {
		nftnl_set_set_u32(x, NFTNL_SET_DATA_TYPE, s->data_type);
		nftnl_set_set_u32(x, NFTNL_SET_DATA_LEN, s->data_len);
	}
	if (s->flags & NFT_SET_CONCAT)
		(void)nftnl_set_set_data(x, NFTNL_SET_DESC_CONCAT, s->fields,
			(uint32_t)strnlen((const char *)s->fields, NFT_FIELDS));
	nft_set_userdata(x, s);
	nftnl_set_nlmsg_build_payload(
		nft_batch_put(b, NFT_MSG_NEWSET, NLM_F_CREATE, t->family, SMALL), x);
	nftnl_set_free(x);
}

static void nft_element_data(struct nftnl_set_elem *x, const struct nft_set *s, const uint8_t *data)
{
	if (s->data_type != NFT_DATA_VERDICT) {
		(void)nftnl_set_elem_set(x, NFTNL_SET_ELEM_DATA, data, s->data_len);
		return;
	}
	struct nft_verdict v;
	memcpy(&v, data, sizeof(v));
	nftnl_set_elem_set_u32(x, NFTNL_SET_ELEM_VERDICT, (uint32_t)v.code);
	if (*v.chain)
		(void)nftnl_set_elem_set_str(x, NFTNL_SET_ELEM_CHAIN, v.chain);
}

static void nft_add_element(struct nftnl_set *list, const struct nft_set *s, const uint8_t *element)
{
	const uint8_t *last = nft_set_last(s, element);
	struct nftnl_set_elem *x = nft_alloc(nftnl_set_elem_alloc());
	(void)nftnl_set_elem_set(x, NFTNL_SET_ELEM_KEY, element, s->key_len);
	if (s->flags & NFT_SET_INTERVAL && s->flags & NFT_SET_CONCAT)
		(void)nftnl_set_elem_set(x, NFTNL_SET_ELEM_KEY_END, last, s->key_len);
	if (s->flags & NFT_SET_MAP)
		nft_element_data(x, s, nft_set_data(s, element));
	nftnl_set_elem_add(list, x);
	uint8_t end[NFT_FIELDS * 16];
	memcpy(end, last, s->key_len);
	if (!nft_set_is_split(s) || nft_key_next(end, s->key_len))
		return;
	x = nft_alloc(nftnl_set_elem_alloc());
	(void)nftnl_set_elem_set(x, NFTNL_SET_ELEM_KEY, end, s->key_len);
	nftnl_set_elem_set_u32(x, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	nftnl_set_elem_add(list, x);
}

void nft_put_elements(struct nft_batch *b, struct nft_element_message what,
	const struct nft_table *t, const struct nft_set *s, const uint8_t *const *elements,
	size_t n)
{
	size_t most = ELEMENTS / (2 * (nft_set_stride(s) + ELEMENT_EXTRA));
	for (size_t i = 0; i < n;) {
		struct nftnl_set *list = nft_alloc(nftnl_set_alloc());
		(void)nftnl_set_set_str(list, NFTNL_SET_TABLE, t->name);
		(void)nftnl_set_set_str(list, NFTNL_SET_NAME, s->name);
		if (s->id)
			nftnl_set_set_u32(list, NFTNL_SET_ID, s->id);
		for (size_t end = n - i < most ? n : i + most; i < end; i++)
			nft_add_element(list, s, elements[i]);
		nftnl_set_elems_nlmsg_build_payload(
			nft_batch_put(b, what.type, what.flags, t->family, ELEMENTS + SMALL), list);
		nftnl_set_free(list);
	}
}

void nft_put_all_elements(struct nft_batch *b, struct nft_element_message what,
	const struct nft_table *t, struct nft_set *s)
{
	nft_set_sort(s);
	const uint8_t **all = mem_new(s->n + 1, sizeof(*all));
	for (size_t i = 0; i < s->n; i++)
		all[i] = s->bytes + i * nft_set_stride(s);
	nft_put_elements(b, what, t, s, all, s->n);
	free((void *)all);
}

void nft_put_head(struct nft_batch *b, const struct nft_table *t)
{
	struct nlmsghdr *m = nft_batch_put(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, t->family, SMALL);
	netlink_put_text(m, NFTA_TABLE_NAME, t->name);
}

void nft_put_contents(struct nft_batch *b, const struct nft_table *t)
{
	for (size_t i = 0; i < t->n_chains; i++)
		nft_put_chain(b, t, &t->chains[i]);
	for (size_t i = 0; i < t->n_counters; i++)
		nft_put_counter(b, t, t->counters[i]);
	for (size_t i = 0; i < t->n_sets; i++)
		nft_put_set(b, t, &t->sets[i]);
	for (size_t i = 0; i < t->n_sets; i++)
		nft_put_all_elements(b, NFT_ADD_ELEMENTS, t, &t->sets[i]);
	for (size_t i = 0; i < t->n_chains; i++)
		for (size_t j = 0; j < t->chains[i].n_rules; j++)
			nft_put_rule(b, t, &t->chains[i], &t->chains[i].rules[j]);
}
