/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node says of itself and what it keeps for ADD: its Node document in the store, with its
 * addresses and its ends of tunnels, and the copy of pools and reservations in the node state.
 *
 * The document is ours and the operator's: fields that are not ours stay as they are. It is not
 * written while another node says that it has our address, nor when the reader of documents would
 * refuse it: the other nodes would not know this one, and it would not know why.
 */
#include <stdio.h>
#include <string.h>

#include "agent/desired/base.h"
#include "agent/kernel/vtep.h"
#include "cluster/document.h"
#include "cluster/resource.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

/* What the node state gets. */

static int64_t cooldown_seconds(const struct desired_work *g)
{
	const struct replica_item *i = replica_item(g->r, RESOURCE_IPAMCONFIGURATION, "default");
	return i ? i->resource.ipam.cooldown_s : -1;
}

static void make_node_reserved(struct desired_work *g, struct mirror *m)
{
	for (size_t i = 0; i < g->r->n_items; i++) {
		const struct resource *res = &g->r->items[i]->resource;
		if (res->kind != RESOURCE_IPRESERVATION)
			continue;
		for (size_t j = 0; j < res->reservation.n; j++) {
			if (m->n_reserved == MIRROR_RESERVED) {
				problems_add(&g->out->problems,
					"there are more than %d reserved prefixes: %s is not "
					"complete",
					MIRROR_RESERVED, res->name);
				return;
			}
			m->reserved[m->n_reserved++] = res->reservation.cidrs[j];
		}
	}
}

static void make_node_mirror(struct desired_work *g)
{
	struct mirror *m = &g->out->mirror;
	int64_t seconds = cooldown_seconds(g);
	(void)text_copy(m->node, sizeof(m->node), g->conf->node);
	(void)text_copy(m->socket, sizeof(m->socket), g->conf->socket);
	m->mtu[IPV4] = desired_pod_mtu(g, IPV4);
	m->mtu[IPV6] = desired_pod_mtu(g, IPV6);
	for (size_t i = 0; i < g->n_pools; i++) {
		struct mirror_pool *p = &m->pools[m->n_pools++];
		p->pool = g->pools[i].spec->pool;
		if (seconds >= 0)
			p->pool.cooldown_s = (uint32_t)seconds;
		(void)text_copy(p->name, sizeof(p->name), g->pools[i].name);
		p->assigns = g->pools[i].assigns;
	}
	make_node_reserved(g, m);
	for (size_t i = 0; i < g->self->n_lent && i < MIRROR_LENT; i++)
		m->lent[m->n_lent++] = g->self->lent[i];
}

/* Our Node document. */

/* The object under a key, made when it is absent or none; borrowed. */
static json_t *object_in(json_t *parent, const char *key)
{
	json_t *o = json_object_get(parent, key);
	if (!json_is_object(o))
		json_put(parent, key, o = json_object());
	return o;
}

/* "": the key goes. */
static void set_text(json_t *object, const char *key, const char *text)
{
	if (*text)
		json_put(object, key, json_of_text(text));
	else
		(void)json_object_del(object, key);
}

static void set_addr(json_t *object, const char *key, const struct addr *a)
{
	set_text(object, key, a->family ? ADDR_STRING(a) : "");
}

static void set_addresses(json_t *bgp, const struct desired_self *self)
{
	static const char *const keys[] = {"ipv4Address", "ipv6Address"};
	for (enum family f = IPV4; f < FAMILIES; f++) {
		const struct cidr *own = &self->addr[f];
		set_text(bgp, keys[f], own->addr.family ? CIDR_STRING(own) : "");
	}
	set_addr(bgp, "ipv4IPIPTunnelAddr", &self->ipip);
}

static void set_vteps(json_t *spec, const struct desired_work *g)
{
	static const char *const keys[] = {"ipv4VXLANTunnelAddr", "ipv6VXLANTunnelAddr"};
	static const char *const mac_keys[] = {"vxlanTunnelMACAddr", "vxlanTunnelMACAddrV6"};
	for (enum family f = IPV4; f < FAMILIES; f++) {
		char text[MAC_TEXT] = "";
		uint8_t mac[6];
		vtep_mac(g->conf->node, f, mac);
		if (g->self->vxlan[f].family)
			mac_format(mac, text);
		set_addr(spec, keys[f], &g->self->vxlan[f]);
		set_text(spec, mac_keys[f], text);
	}
}

/* Another node that says it has our address. */
static const char *find_twin(const struct desired_work *g, enum family f)
{
	const struct addr *own = &g->self->addr[f].addr;
	for (size_t i = 0; own->family && i < g->r->n_nodes; i++) {
		struct addr a = desired_other_addr(g, &g->r->nodes[i], f);
		if (a.family && addr_equal(&a, own))
			return g->r->nodes[i].name;
	}
	return NULL;
}

static bool report_twin(struct desired_work *g)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		const char *other = find_twin(g, f);
		if (!other)
			continue;
		problems_add(&g->out->problems,
			"node %s has the address %s too: this node is not registered with it; "
			"mend one of them, or remove the other node",
			other, ADDR_STRING(&g->self->addr[f].addr));
		return true;
	}
	return false;
}

/* A label that people have set stays. */
static void set_name_label(json_t *labels, const char *name)
{
	char value[RESOURCE_LABEL];
	const char *is = json_string_value(json_object_get(labels, DOCUMENT_NAME_LABEL));
	if (is && strcmp(is, name) != 0)
		return;
	document_name_label(name, value);
	set_text(labels, DOCUMENT_NAME_LABEL, value);
}

/* Labels that came from Kubernetes are remembered by their keys, as those that people set here stay. */
#define FROM_KUBERNETES "roost.io/kubernetes-labels"

static void drop_labels(json_t *labels, const char *keys)
{
	while (*keys) {
		char key[RESOURCE_LABEL + TEXT_DNS_NAME];
		size_t len = strcspn(keys, " ");
		(void)snprintf(key, sizeof(key), "%.*s", (int)len, keys);
		(void)json_object_del(labels, key);
		keys += len + strspn(keys + len, " ");
	}
}

static void set_kubernetes_labels(json_t *metadata, const json_t *labels)
{
	const char *key;
	json_t *value;
	CLEANUP_TEXT struct text keys = {0};
	if (!labels)
		return;
	json_t *all = object_in(metadata, "labels");
	json_t *notes = object_in(metadata, "annotations");
	const char *before = json_string_value(json_object_get(notes, FROM_KUBERNETES));
	if (before)
		drop_labels(all, before);
	json_object_foreach ((json_t *)labels, key, value) {
		if (strcmp(key, DOCUMENT_NAME_LABEL) != 0)
			text_add(&keys, "%s%s", keys.len ? " " : "", key);
		json_put(all, key, json_deep_copy(value));
	}
	set_text(notes, FROM_KUBERNETES, keys.len ? keys.buf : "");
	if (json_object_size(notes) == 0)
		(void)json_object_del(metadata, "annotations");
}

static bool is_readable(struct desired_work *g, const json_t *doc)
{
	CLEANUP_FREE struct resource *read = mem_new(1, sizeof(*read));
	char where[RESOURCE_WHERE];
	struct err e = {0};
	int r = resource_parse(doc, read, where, &e);
	if (r < 0)
		problems_add_as(&g->out->problems, "own Node document",
			"the Node document of this node is not written, as no node could read it: "
			"%s",
			e.text);
	else
		resource_done(read);
	return r == 0;
}

static void make_node_document(struct desired_work *g)
{
	if (report_twin(g))
		return;
	json_t *doc = json_is_object(g->r->self) ? json_deep_copy(g->r->self) : json_object();
	set_text(doc, "kind", "Node");
	set_text(doc, "apiVersion", "projectcalico.org/v3");
	json_t *metadata = object_in(doc, "metadata");
	set_text(metadata, "name", g->conf->node);
	set_kubernetes_labels(metadata, g->self->labels);
	set_name_label(object_in(metadata, "labels"), g->conf->node);
	json_t *spec = object_in(doc, "spec");
	set_addresses(object_in(spec, "bgp"), g->self);
	set_vteps(spec, g);
	if (json_equal(doc, g->r->self) || !is_readable(g, doc))
		json_decref(doc);
	else
		g->out->node = doc;
}

void desired_node(struct desired_work *g)
{
	make_node_mirror(g);
	make_node_document(g);
}
