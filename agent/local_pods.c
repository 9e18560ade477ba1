/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link without a record has lost its node state, or its pod ended without a DEL: its label names the pod as
 * far as there was room, and nothing is said of its addresses. The kernel tells of a link's label when its
 * record is written already.
 */
#include "agent/local_pods.h"

#include <stdlib.h>
#include <string.h>

#include "agent/node_states_pods.h"
#include "ipam/node_policy.h"
#include "lib/mem.h"
#include "lib/net_link.h"
#include "lib/owned.h"
#include "lib/search.h"
#include "lib/text.h"

struct records {
	struct node_states_local *names;
	size_t n_names;
	struct node_identity *identities;
	size_t n_identities;
};

/* Elements begin with an owner. */
static int compare_owner(const void *element, const void *owner)
{
	return hash_compare(element, owner);
}

static void set_name(struct policy_local *l, const char *pod)
{
	const char *slash = strchr(pod, '/');
	if (!slash || (size_t)(slash - pod) >= sizeof(l->namespace))
		return;
	memcpy(l->namespace, pod, (size_t)(slash - pod));
	(void)text_copy(l->name, sizeof(l->name), slash + 1);
}

static void take_records(const struct records *r, const struct hash *owner, struct policy_local *l,
	struct enforce_owner *o)
{
	o->hash = *owner;
	size_t at =
		search_lower_bound(r->names, r->n_names, sizeof(*r->names), owner, compare_owner);
	for (; at < r->n_names && hash_equal(&r->names[at].owner, owner); at++) {
		(void)text_copy(l->namespace, sizeof(l->namespace), r->names[at].namespace);
		(void)text_copy(l->name, sizeof(l->name), r->names[at].name);
		if (l->n_addrs < POLICY_ADDRESSES)
			l->addrs[l->n_addrs++] = r->names[at].addr;
	}
	const struct node_identity *id = search_find(
		r->identities, r->n_identities, sizeof(*r->identities), owner, compare_owner);
	if (id)
		(void)text_copy(l->uid, sizeof(l->uid), id->uid);
	if (id && *id->labels)
		o->labels = mem_strdup(id->labels);
}

static int compare_index(const void *a, const void *b)
{
	int x = ((const struct net_link *)a)->index, y = ((const struct net_link *)b)->index;
	return (x > y) - (x < y);
}

/* Of a pod's link and an index. */
static int compare_link(const void *local, const void *index)
{
	int x = ((const struct policy_local *)local)->link, y = *(const int *)index;
	return (x > y) - (x < y);
}

/* links: sorted by index. */
static void take_links(
	const struct net_link *links, size_t n, const struct records *r, struct enforce_node *out)
{
	out->locals = mem_new(n + 1, sizeof(*out->locals));
	out->owners = mem_new(n + 1, sizeof(*out->owners));
	for (size_t i = 0; i < n; i++) {
		struct owned_label label;
		if (!links[i].is_veth || owned_is_marked(&links[i]) ||
			!owned_label_parse(links[i].alias, &label))
			continue;
		struct policy_local *l = &out->locals[out->n_locals++];
		l->link = links[i].index;
		set_name(l, label.pod);
		take_records(r, &label.owner, l, &out->owners[out->n_locals - 1]);
	}
}

static int take_addrs(struct net *n, struct enforce_node *out, struct err *e)
{
	CLEANUP_FREE struct net_addr *list = NULL;
	size_t count = 0;
	int r = net_list_addrs(n, &list, &count, e);
	if (r < 0)
		return r;
	out->addrs = mem_new(count + 1, sizeof(*out->addrs));
	for (size_t i = 0; i < count; i++)
		if (!search_find(out->locals, out->n_locals, sizeof(*out->locals), &list[i].dev,
			    compare_link))
			out->addrs[out->n_addrs++] = list[i].address.addr;
	return 0;
}

int local_pods_list(struct net *n, struct node_states *s, struct enforce_node *out, struct err *e)
{
	CLEANUP_FREE struct net_link *links = NULL;
	struct enforce_node node = {0};
	struct records records = {0};
	size_t n_links = 0;
	int r = net_list_links(n, &links, &n_links, e);
	if (r < 0)
		return r;
	node_states_locals(s, &records.names, &records.n_names);
	node_states_identities(s, &records.identities, &records.n_identities);
	if (n_links)
		qsort(links, n_links, sizeof(*links), compare_index);
	take_links(links, n_links, &records, &node);
	free(records.names);
	free(records.identities);
	r = take_addrs(n, &node, e);
	if (r < 0) {
		enforce_node_done(&node);
		return r;
	}
	*out = node;
	return 0;
}
