/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wishes of a request against the configuration (one address of a family, pools by name), and
 * what a request's attachments say about records: which are valid, which are stale, which
 * prevResult must have.
 */
#include "plugins/addresses.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ipam/agent_lock.h"
#include "ipam/node_cluster.h"
#include "ipam/node_namespaces.h"
#include "ipam/node_policy.h"
#include "ipam/session.h"
#include "lib/cni_result.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/ns.h"
#include "plugins/agent_client.h"
#include "plugins/guard.h"

/* A state folder that was copied to another node with its boot id, as containers on one machine have
 * it, holds blocks that are not this node's. */
static int check_place(const struct mirror *m, const char *dir, struct err *e)
{
	uint64_t here = ns_own_cookie();
	if (!m->netns || !here || m->netns == here)
		return 0;
	(void)err_set(e, EAGAIN,
		"the pools in node state %.200s are those of node %.100s in another network "
		"namespace: the folder is a copy, or roostd has not run in this one",
		dir, m->node);
	err_details(e, "start roostd on this node; when the node's name is its own it tells the "
		       "node state its pools");
	return -EAGAIN;
}

/* In the order of mirror_pools(). A name that fills the mirror's field may be a part of one, so it is
 * none. */
static void load_names(const struct mirror *m, struct conf *c)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n_pools; i++) {
		const struct mirror_pool *p = &m->pools[i];
		if (p->assigns && strlen(p->name) < sizeof(p->name) - 1)
			(void)text_copy(c->pool_names[n], CONF_POOL_NAME, p->name);
		n += p->assigns;
	}
}

int addresses_load(struct node *n, struct conf *c, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	int r = node_get_mirror(n, m, e);
	if (r < 0)
		return r;
	if (r == 0)
		return agent_client_unknown(c->state_dir, e);
	r = check_place(m, c->state_dir, e);
	if (r == 0)
		r = mirror_pools(m, c->pools, &c->n_pools, e);
	load_names(m, c);
	for (size_t i = 0; r == 0 && i < c->n_pools; i++) {
		uint32_t mtu = m->mtu[family_of(c->pools[i].cidr.addr.family)];
		if (mtu && (!c->cluster_mtu || mtu < c->cluster_mtu))
			c->cluster_mtu = mtu;
		c->uplink_mtu |= !mtu;
	}
	return r;
}

struct owner addresses_owner(const struct cni_request *r, bool foreign, uint64_t netns)
{
	struct owner o = owner_of(r->network, r->container, r->ifname);
	o.pod_namespace = r->wishes.pod_namespace;
	o.pod_name = r->wishes.pod_name;
	o.foreign = foreign;
	o.netns = netns;
	return o;
}

/* What is left of the configuration for one pod. */
struct choice {
	bool usable[POOL_MAX]; /* per pool */
	bool without[FAMILIES];
	struct addr requested[2]; /* at most one of a family */
	size_t n_requested;
};

/* The requested addresses: the request's, else the configuration's. */
static int requested_addresses(const struct cni_wishes *w, const struct conf *c, struct addr out[2],
	size_t *n, struct err *e)
{
	*n = 0;
	const struct addr *from = w->n_ips ? w->ips : c->addresses;
	size_t count = w->n_ips ? w->n_ips : c->n_addresses;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < *n; k++) {
			if (out[k].family != from[i].family)
				continue;
			char text[ADDR_TEXT];
			addr_format(&from[i], text);
			return err_set(e, EOPNOTSUPP,
				"requested address %s: a pod has one address of a family", text);
		}
		out[(*n)++] = from[i];
	}
	return 0;
}

static bool is_pool(const struct conf *c, size_t i, const char *named)
{
	struct cidr prefix;
	struct err ignored;
	if (!strchr(named, '/'))
		return strcmp(c->pool_names[i], named) == 0;
	return cidr_parse(named, &prefix, &ignored) == 0 && cidr_equal(&c->pools[i].cidr, &prefix);
}

/* Pools that an annotation or the configuration names for a family; without a word every pool of it is
 * usable. */
static int choose_pools(const struct cni_wishes *w, const struct conf *c, enum family f,
	bool *usable, struct err *e)
{
	const json_t *names = w->pools[f] ? w->pools[f] : c->chosen[f];
	bool any[POOL_MAX] = {false};
	size_t i;
	const json_t *one;
	json_array_foreach (names, i, one) {
		bool found = false;
		for (size_t p = 0; p < c->n_pools; p++)
			if (family_of(c->pools[p].cidr.addr.family) == f &&
				is_pool(c, p, json_string_value(one)))
				any[p] = found = true;
		if (!found)
			return err_set(e, EINVAL, "%s for %s pool %.60s, which is not one of %s",
				w->of_namespace[f] ? "the pod's namespace asks"
				: w->pools[f]	   ? "the pod asks"
						   : "the configuration asks",
				family_name(f), json_string_value(one),
				c->cluster ? "the cluster's pools for this node" : "ipam.pools");
	}
	for (size_t p = 0; names && p < c->n_pools; p++)
		if (family_of(c->pools[p].cidr.addr.family) == f)
			usable[p] = any[p];
	return 0;
}

static bool requests_family(const struct choice *c, enum family f)
{
	for (size_t i = 0; i < c->n_requested; i++)
		if (family_of(c->requested[i].family) == f)
			return true;
	return false;
}

/* Whether the pod gets an address of the family: as it says, else as the configuration does. One that
 * is said to be had must be there to be had. */
static int choose_family(const struct cni_wishes *w, const struct conf *c, enum family f,
	struct choice *out, struct err *e)
{
	bool told = w->has_families ? w->families[f] : c->assign[f] == CONF_ASSIGN_YES;
	bool found = false;
	out->without[f] = !told && (w->has_families || c->assign[f] == CONF_ASSIGN_NO);
	for (size_t p = 0; p < c->n_pools; p++) {
		if (family_of(c->pools[p].cidr.addr.family) != f)
			continue;
		out->usable[p] &= !out->without[f];
		found |= out->usable[p];
	}
	if (!told || found)
		return 0;
	return err_set(e, c->cluster ? EAGAIN : EINVAL,
		"%s an %s address, and no %s pool gives addresses here",
		w->has_families ? "the pod asks for" : "the configuration asks for", family_name(f),
		family_name(f));
}

static int choose(
	const struct cni_wishes *w, const struct conf *c, struct choice *out, struct err *e)
{
	bool found = false;
	int done = requested_addresses(w, c, out->requested, &out->n_requested, e);
	memset(out->usable, true, sizeof(out->usable));
	for (enum family f = IPV4; f < FAMILIES && done >= 0; f++) {
		done = choose_pools(w, c, f, out->usable, e);
		if (done >= 0 && !requests_family(out, f))
			done = choose_family(w, c, f, out, e);
	}
	if (done < 0)
		return done;
	for (size_t p = 0; p < c->n_pools; p++)
		found |= out->usable[p];
	if (!found && c->n_pools)
		return err_set(e, EINVAL,
			"no pool is left for the pod: its families (ipFamilies, ipam.assign_ipv4, "
			"ipam.assign_ipv6) and the pools have none in common");
	return 0;
}

/* The pod's wishes, and its namespace's where it says nothing itself. References to w->pools are the
 * caller's, whatever comes of it. */
static int with_namespace(
	struct node *n, const struct cni_request *r, struct cni_wishes *w, struct err *e)
{
	struct node_namespace space;
	*w = r->wishes;
	for (enum family f = IPV4; f < FAMILIES; f++)
		json_incref(w->pools[f]);
	int result = node_get_namespace(n, w->pod_namespace, &space, e);
	if (result > 0)
		result = cni_args_add_namespace(w, space.annotations, e);
	if (result == -EINVAL) {
		err_add(e, "namespace %s", space.name);
		err_details(e, "an annotation of the namespace, for pod %s", w->pod_name);
	}
	return result < 0 ? result : 0;
}

/* The labels of the pod, those of its network among them, as the node state keeps them. */
static int format_labels(
	const struct cni_wishes *w, const struct conf *c, char out[NODE_LABELS], struct err *e)
{
	CLEANUP_JSON json_t *labels = c->labels ? json_copy((json_t *)c->labels) : json_object();
	*out = '\0';
	if (w->labels)
		(void)json_object_update(labels, w->labels);
	if (json_object_size(labels) == 0)
		return 0;
	size_t len = json_dumpb(labels, out, NODE_LABELS - 1, JSON_COMPACT | JSON_SORT_KEYS);
	if (len >= NODE_LABELS)
		return err_set(e, EINVAL, "the pod's labels take %zu bytes; %d are kept", len,
			NODE_LABELS - 1);
	out[len] = '\0';
	return 0;
}

/* Of another main plugin's pods somebody else limits them. */
static const struct bandwidths *limits_of(
	const struct conf *c, const struct cni_wishes *w, const struct owner *owner)
{
	const struct bandwidths *limits = conf_limits(c, w);
	return owner->foreign || (!limits->ingress.rate && !limits->egress.rate) ? NULL : limits;
}

int addresses_assign(struct node *n, const struct cni_request *r, const struct conf *c,
	const struct owner *owner, struct node_leases *out, struct err *e)
{
	struct choice choice = {0};
	struct cni_wishes w;
	char labels[NODE_LABELS];
	int result = with_namespace(n, r, &w, e);
	if (result >= 0)
		result = format_labels(&w, c, labels, e);
	if (result >= 0)
		result = choose(&w, c, &choice, e);
	for (enum family f = IPV4; f < FAMILIES; f++)
		json_decref(w.pools[f]);
	if (result < 0)
		return result;
	struct node_want want = {
		.owner = *owner,
		.pools = c->pools,
		.n_pools = c->n_pools,
		.usable = choice.usable,
		.without = {choice.without[IPV4], choice.without[IPV6]},
		.requested = choice.requested,
		.n_requested = choice.n_requested,
		.gateways = c->gateways,
		.n_gateways = c->n_gateways,
		.ports = w.ports,
		.n_ports = w.n_ports,
		.limits = limits_of(c, &w, owner),
		.uid = w.pod_uid,
		.labels = labels,
	};
	return c->cluster ? agent_client_assign(n, c->state_dir, &want, out, e)
			  : node_assign(n, &want, out, e);
}

int addresses_valid(const struct cni_request *r, struct addresses_valid *out, struct err *e)
{
	CLEANUP_FREE struct cni_attachment *attachments = NULL;
	size_t n = 0;
	int named = cni_valid_attachments(r, &attachments, &n, e);
	if (named < 0)
		return named;
	struct hash *owners = mem_new(n, sizeof(*owners));
	for (size_t i = 0; i < n; i++)
		owners[i] = owner_hash(r->network, attachments[i].container, attachments[i].ifname);
	qsort(owners, n, sizeof(*owners), hash_compare);
	*out = (struct addresses_valid){.owners = owners, .n = n, .is_named = named > 0};
	return 0;
}

void addresses_valid_done(struct addresses_valid *v)
{
	free(v->owners);
	*v = (struct addresses_valid){0};
}

bool addresses_is_valid(const struct addresses_valid *v, const struct hash *owner)
{
	return v->n && bsearch(owner, v->owners, v->n, sizeof(*v->owners), hash_compare);
}

int addresses_stale(struct node *n, const struct cni_request *r,
	const struct addresses_valid *valid, struct hash **out, size_t *count, struct err *e)
{
	struct node_view view;
	int result = node_list(n, &view, e);
	if (result < 0)
		return result;
	struct hash *stale = mem_new(view.n_entries, sizeof(*stale));
	size_t found = 0;
	for (size_t i = 0; i < view.n_entries; i++) {
		const struct node_entry *entry = view.entries[i];
		if (entry->state == NODE_USED && strcmp(entry->owner.network, r->network) == 0 &&
			(valid->is_named || !entry->owner.foreign) &&
			!addresses_is_valid(valid, &entry->owner.hash))
			stale[found++] = entry->owner.hash;
	}
	node_view_done(&view);
	*out = stale;
	*count = found;
	return 0;
}

static bool result_has(const struct cni_result *result, const struct addr *a)
{
	size_t i;
	const json_t *ip;
	json_array_foreach (result->ips, i, ip) {
		struct cidr c;
		struct err ignored;
		const char *text = json_string_value(json_object_get(ip, "address"));
		if (text && cidr_parse(text, &c, &ignored) == 0 && addr_equal(&c.addr, a))
			return true;
	}
	return false;
}

int addresses_check(struct node *n, const struct cni_request *r, struct err *e)
{
	struct hash owner = owner_hash(r->network, r->container, r->ifname);
	struct node_leases leases;
	int result = node_find(n, &owner, &leases, e);
	if (result < 0)
		return result;
	if (result == 0)
		return err_set(e, ENODATA,
			"no address is recorded for container %.64s interface %s", r->container,
			r->ifname);
	struct cni_result prev;
	result = cni_result_parse(r->prev, r->version, &prev, e);
	if (result < 0)
		return result;
	for (size_t i = 0; i < leases.n && result >= 0; i++) {
		char text[ADDR_TEXT];
		addr_format(&leases.v[i].addr, text);
		if (!result_has(&prev, &leases.v[i].addr))
			result = err_set(e, ENODATA,
				"address %s is recorded for this attachment, but prevResult lacks "
				"it",
				text);
	}
	cni_result_done(&prev);
	return result;
}

/* A node without a free address serves the pods it has. A runtime takes an error of STATUS for a broken
 * network, and Kubernetes evicts the pods of such a node, which would then be missing elsewhere. */
static int without_exhausted(int r)
{
	return r == -EAGAIN ? 0 : r;
}

/* Whoever has no pool has no network yet; a node whose pools give nothing now (drained, disabled, for
 * other nodes) has one. */
static int status_in_cluster(struct node *n, struct conf *c, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	int r = node_get_mirror(n, m, e);
	if (r == 0)
		return agent_client_unknown(c->state_dir, e);
	if (r > 0)
		r = check_place(m, c->state_dir, e);
	if (r < 0)
		return r;
	r = addresses_load(n, c, e);
	if (r == -EAGAIN && m->n_pools)
		return 0;
	return r < 0 ? r : without_exhausted(node_can_assign_mirror(n, m, e));
}

static int status_of(struct conf *c, struct err *e)
{
	CLEANUP_SESSION struct node *n = NULL;
	int result = guard_open(c, NODE_READ, &n, e);
	if (result == -ENOENT || result == -EUCLEAN) { /* the next ADD begins a state */
		result = node_check_room(c->state_dir, e);
		return result == 0 && c->cluster ? agent_client_unknown(c->state_dir, e) : result;
	}
	if (result < 0)
		return result;
	return c->cluster ? status_in_cluster(n, c, e)
			  : without_exhausted(node_can_assign(n, c->pools, c->n_pools, e));
}

int addresses_status(struct conf *c, struct err *e)
{
	int result = status_of(c, e);
	return result < 0 ? cni_not_available(result, e) : 0;
}
