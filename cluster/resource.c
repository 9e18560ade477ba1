/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: names of kinds, the envelope all of them share, and the kinds that are about
 * addresses. Those about BGP are in resource_bgp.c.
 *
 * A document is read strictly: what roost does not do is an error that names the field, whether
 * Calico knows the field or nobody does. Three groups of fields are let through without a meaning:
 * what an export adds (uid, creationTimestamp, status...), what Calico writes of a node for its own
 * book-keeping (orchRefs, addresses), and fields whose only accepted value is what roost does
 * anyway (assignmentMode: Automatic). docs/resources/ lists them kind by kind.
 *
 * The same reader judges what comes from the store. So limits are those of the value types, no text
 * gets through whose alphabet is not known, and an error repeats a document's text only shortened
 * and cleaned.
 */
#include "cluster/resource.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "cluster/resource_impl.h"
#include "lib/json.h"
#include "lib/text.h"

#define LABELS_MAX 256	     /* labels, and annotations, of a document */
#define ANNOTATION_MAX 16384 /* bytes of its value */

static const struct kind {
	const char *text, *plural;
	int (*read)(const struct fields *spec, struct resource *out);
} kinds[RESOURCE_KINDS];

const char *resource_kind_text(enum resource_kind k)
{
	return kinds[k].text;
}

const char *resource_kind_plural(enum resource_kind k)
{
	return kinds[k].plural;
}

bool resource_kind_parse(const char *s, enum resource_kind *out)
{
	for (int k = 0; k < RESOURCE_KINDS; k++) {
		if (strcasecmp(s, kinds[k].text) == 0 || strcasecmp(s, kinds[k].plural) == 0) {
			*out = (enum resource_kind)k;
			return true;
		}
	}
	return false;
}

static int read_encap(const struct fields *spec, const char *key, enum resource_encap *out)
{
	static const char *const words[] = {"Never", "Always", "CrossSubnet"};
	size_t n = ENCAP_NEVER;
	int r = fields_word(spec, key, words, 3, &n);
	*out = (enum resource_encap)n;
	return r;
}

static int read_pool_cidr(const struct fields *spec, struct cidr *out)
{
	const char *text = NULL;
	int r = fields_string(spec, "cidr", &text);
	if (r == 0)
		return fields_refuse(spec, "cidr", EINVAL, "is missing");
	if (r > 0)
		r = fields_parse_prefix(spec, "cidr", text, 0, out);
	if (r < 0)
		return r;
	const char *what = pool_special(out);
	if (what)
		return fields_refuse(
			spec, "cidr", EINVAL, "is %.60s, which contains %s", text, what);
	return 0;
}

/* Calico's ranges. A pool smaller than the default block is one block. */
static int read_block_size(const struct fields *spec, struct pool *p)
{
	bool v4 = p->cidr.addr.family == AF_INET;
	int64_t len = v4 ? POOL_BLOCK_LEN4 : POOL_BLOCK_LEN6;
	len = len < p->cidr.len ? p->cidr.len : len;
	int r = fields_number(spec, "blockSize", v4 ? 20 : 116, v4 ? 32 : 128, &len);
	if (r < 0)
		return r;
	if (len < p->cidr.len)
		return fields_refuse(spec, "blockSize", EINVAL,
			"is %d, larger than the pool itself (/%d)", (int)len, p->cidr.len);
	p->block_len = (uint8_t)len;
	return 0;
}

/* Pools give addresses to pods and tunnels, both, in Calico as here. */
static int check_uses(const struct fields *spec)
{
	json_t *uses = NULL;
	bool workload = false, tunnel = false;
	int r = fields_array(spec, "allowedUses", RESOURCE_LIST, &uses);
	if (r <= 0 || json_array_size(uses) == 0)
		return r;
	for (size_t i = 0; i < json_array_size(uses); i++) {
		const char *use = NULL;
		r = fields_string_at(spec, "allowedUses", i, uses, &use);
		if (r < 0)
			return r;
		workload = workload || strcmp(use, "Workload") == 0;
		tunnel = tunnel || strcmp(use, "Tunnel") == 0;
		if (strcmp(use, "Workload") != 0 && strcmp(use, "Tunnel") != 0) {
			char key[64];
			(void)snprintf(key, sizeof(key), "allowedUses[%zu]", i);
			return fields_refuse(
				spec, key, EINVAL, "\"%.40s\" is not supported by roost", use);
		}
	}
	if (workload && tunnel)
		return 0;
	return fields_refuse(spec, "allowedUses", EINVAL,
		"without %s is not supported by roost: a pool is for pods and tunnels",
		workload ? "Tunnel" : "Workload");
}

static int check_encap(const struct fields *spec, const struct resource_pool *p)
{
	if (p->ipip != ENCAP_NEVER && p->vxlan != ENCAP_NEVER)
		return fields_refuse(spec, "vxlanMode", EINVAL,
			"cannot be used together with ipipMode: one of them must be Never");
	if (p->ipip != ENCAP_NEVER && p->pool.cidr.addr.family == AF_INET6)
		return fields_refuse(
			spec, "ipipMode", EINVAL, "must be Never: IPIP carries IPv4 only");
	return 0;
}

static int read_pool(const struct fields *spec, struct resource *out)
{
	static const char *const known[] = {"cidr", "blockSize", "ipipMode", "vxlanMode",
		"natOutgoing", "disabled", "disableBGPExport", "nodeSelector", "allowedUses",
		"assignmentMode", "namespaceSelector", NULL};
	struct resource_pool *p = &out->pool;
	p->pool.cooldown_s = POOL_COOLDOWN_S;
	int r = fields_check(spec, known);
	if (r >= 0)
		r = read_pool_cidr(spec, &p->pool.cidr);
	if (r >= 0)
		r = read_block_size(spec, &p->pool);
	if (r >= 0)
		r = read_encap(spec, "ipipMode", &p->ipip);
	if (r >= 0)
		r = read_encap(spec, "vxlanMode", &p->vxlan);
	if (r >= 0)
		r = check_encap(spec, p);
	if (r >= 0)
		r = fields_bool(spec, "natOutgoing", &p->nat_outgoing);
	if (r >= 0)
		r = fields_bool(spec, "disabled", &p->disabled);
	if (r >= 0)
		r = fields_bool(spec, "disableBGPExport", &p->no_bgp_export);
	if (r >= 0)
		r = fields_selector(spec, "nodeSelector", p->selector);
	if (r >= 0)
		r = check_uses(spec);
	if (r >= 0)
		r = fields_only(spec, "assignmentMode", "Automatic");
	if (r >= 0)
		r = fields_only(spec, "namespaceSelector", "all()");
	return r;
}

/* Written like an address, but any number will do: 224.0.0.1 is usual. */
static int read_cluster_id(const struct fields *bgp, struct addr *out)
{
	const char *text = NULL;
	struct addr a;
	struct err ignored;
	int r = fields_string(bgp, "routeReflectorClusterID", &text);
	if (r <= 0 || !*text)
		return r;
	if (addr_parse(text, &a, &ignored) < 0 || a.family != AF_INET ||
		strcmp(text, "0.0.0.0") == 0)
		return fields_refuse(bgp, "routeReflectorClusterID", EINVAL,
			"is \"%.64s\", must be four numbers like 244.0.0.1", text);
	*out = a;
	return r;
}

static int read_node_bgp(const struct fields *spec, struct resource_node *n)
{
	static const char *const known[] = {"asNumber", "ipv4Address", "ipv6Address",
		"ipv4IPIPTunnelAddr", "routeReflectorClusterID", NULL};
	struct fields bgp;
	int r = fields_object(spec, "bgp", &bgp);
	if (r <= 0)
		return r;
	r = fields_check(&bgp, known);
	if (r >= 0)
		r = fields_as_number(&bgp, "asNumber", &n->as_number);
	if (r >= 0)
		r = fields_host(&bgp, "ipv4Address", AF_INET, &n->addr[IPV4]);
	if (r >= 0)
		r = fields_host(&bgp, "ipv6Address", AF_INET6, &n->addr[IPV6]);
	if (r >= 0)
		r = fields_addr(&bgp, "ipv4IPIPTunnelAddr", AF_INET, &n->ipip);
	if (r >= 0)
		r = read_cluster_id(&bgp, &n->rr_cluster);
	return r;
}

static int read_node(const struct fields *spec, struct resource *out)
{
	static const char *const known[] = {"bgp", "ipv4VXLANTunnelAddr", "vxlanTunnelMACAddr",
		"ipv6VXLANTunnelAddr", "vxlanTunnelMACAddrV6", "drain", "orchRefs", "addresses",
		NULL};
	struct resource_node *n = &out->node;
	json_t *ignored = NULL;
	int r = fields_check(spec, known);
	if (r >= 0)
		r = read_node_bgp(spec, n);
	if (r >= 0)
		r = fields_addr(spec, "ipv4VXLANTunnelAddr", AF_INET, &n->vxlan[IPV4]);
	if (r >= 0)
		r = fields_addr(spec, "ipv6VXLANTunnelAddr", AF_INET6, &n->vxlan[IPV6]);
	if (r >= 0)
		r = fields_mac(spec, "vxlanTunnelMACAddr", n->vxlan_mac[IPV4]);
	if (r >= 0)
		r = fields_mac(spec, "vxlanTunnelMACAddrV6", n->vxlan_mac[IPV6]);
	if (r >= 0)
		r = fields_bool(spec, "drain", &n->drain);
	if (r >= 0)
		r = fields_array(spec, "orchRefs", RESOURCE_LIST, &ignored);
	if (r >= 0)
		r = fields_array(spec, "addresses", RESOURCE_LIST, &ignored);
	return r;
}

static int read_reservation(const struct fields *spec, struct resource *out)
{
	static const char *const known[] = {"reservedCIDRs", NULL};
	json_t *cidrs = NULL;
	int r = fields_check(spec, known);
	if (r >= 0)
		r = fields_array(spec, "reservedCIDRs", RESOURCE_LIST, &cidrs);
	for (size_t i = 0; r >= 0 && i < json_array_size(cidrs); i++) {
		const char *text = NULL;
		char key[64];
		(void)snprintf(key, sizeof(key), "reservedCIDRs[%zu]", i);
		r = fields_string_at(spec, "reservedCIDRs", i, cidrs, &text);
		if (r >= 0)
			r = fields_parse_prefix(
				spec, key, text, 0, &out->reservation.cidrs[out->reservation.n++]);
	}
	return r;
}

static int read_ipam(const struct fields *spec, struct resource *out)
{
	static const char *const known[] = {"maxBlocksPerHost", "ipCooldownSeconds",
		"strictAffinity", "autoAllocateBlocks", "kubeVirtVMAddressPersistence", NULL};
	int64_t blocks = 0, cooldown = -1;
	bool ignored = true;
	if (strcmp(out->name, "default") != 0)
		return fields_refuse_name(spec, out->name, "must be default");
	int r = fields_check(spec, known);
	if (r >= 0)
		r = fields_number(spec, "maxBlocksPerHost", 0, INT32_MAX, &blocks);
	if (r >= 0)
		r = fields_number(spec, "ipCooldownSeconds", 0, POOL_COOLDOWN_MAX_S, &cooldown);
	if (r >= 0)
		r = fields_bool(spec, "strictAffinity", &ignored);
	if (r >= 0)
		r = fields_only_bool(spec, "autoAllocateBlocks", true);
	if (r >= 0)
		r = fields_only(spec, "kubeVirtVMAddressPersistence", "Disabled");
	out->ipam = (struct resource_ipam){.max_blocks = (uint32_t)blocks, .cooldown_s = cooldown};
	return r;
}

static const struct kind kinds[RESOURCE_KINDS] = {
	[RESOURCE_IPPOOL] = {"IPPool", "ippools", read_pool},
	[RESOURCE_NODE] = {"Node", "nodes", read_node},
	[RESOURCE_BGPCONFIGURATION] = {"BGPConfiguration", "bgpconfigurations", resource_read_bgp},
	[RESOURCE_BGPPEER] = {"BGPPeer", "bgppeers", resource_read_peer},
	[RESOURCE_BGPFILTER] = {"BGPFilter", "bgpfilters", resource_read_filter},
	[RESOURCE_IPRESERVATION] = {"IPReservation", "ipreservations", read_reservation},
	[RESOURCE_IPAMCONFIGURATION] = {"IPAMConfiguration", "ipamconfigurations", read_ipam},
};

/* Labels are what selectors see: Kubernetes' alphabet, which is also that of a selector's keys. */
static bool is_label(const char *s, size_t max, bool key)
{
	size_t len = strlen(s);
	if (len > max || (key && len == 0))
		return false;
	for (; *s; s++) {
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9');
		if (!alnum && !strchr("_.-", *s) && (!key || *s != '/'))
			return false;
	}
	return true;
}

static bool is_printable(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p < ' ' || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
			return false;
	return true;
}

static int check_label(
	const struct fields *f, const char *key, const json_t *value, bool annotation)
{
	const char *text = json_string_value(value);
	if (!is_label(key, 317, true)) /* a DNS subdomain, a slash, 63 */
		return fields_refuse(f, key, EINVAL, "is not a label's key (a-z, 0-9, _ . / -)");
	if (!text)
		return fields_refuse(f, key, EBADMSG, "must be a string");
	if (!annotation && !is_label(text, 63, false))
		return fields_refuse(f, key, EINVAL,
			"is \"%.64s\", must be at most 63 of a-z, A-Z, 0-9, _ . -", text);
	if (strlen(text) > ANNOTATION_MAX)
		return fields_refuse(f, key, EINVAL, "is longer than %d bytes", ANNOTATION_MAX);
	return 0;
}

static int check_labels(const struct fields *metadata, const char *key, bool annotations)
{
	struct fields labels;
	int r = fields_object(metadata, key, &labels);
	if (r <= 0)
		return r;
	if (json_object_size(labels.object) > LABELS_MAX)
		return fields_refuse(metadata, key, EINVAL, "has more than %d entries", LABELS_MAX);
	const char *name;
	json_t *value = NULL;
	json_object_foreach ((json_t *)labels.object, name, value) {
		if (annotations && strcmp(name, RESOURCE_LAST_APPLIED) == 0)
			continue; /* it is not kept */
		r = check_label(&labels, name, value, annotations);
		if (r == 0 && annotations && !is_printable(json_string_value(value)))
			r = fields_refuse(&labels, name, EINVAL, "has control characters");
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_metadata(const struct fields *doc, struct resource *out)
{
	static const char *const known[] = {"name", "labels", "annotations", "uid",
		"creationTimestamp", "resourceVersion", "generation", "managedFields", "selfLink",
		NULL};
	struct fields metadata;
	int r = fields_object(doc, "metadata", &metadata);
	if (r == 0)
		return fields_refuse(doc, "metadata", EINVAL, "is missing");
	if (r > 0)
		r = fields_check(&metadata, known);
	if (r >= 0)
		r = fields_name(&metadata, "name", out->name);
	if (r == 0 && !*out->name)
		return fields_refuse(&metadata, "name", EINVAL, "is missing");
	if (r >= 0)
		r = check_labels(&metadata, "labels", false);
	if (r >= 0)
		r = check_labels(&metadata, "annotations", true);
	return r;
}

static int read_kind(const struct fields *doc, struct resource *out)
{
	static const char *const versions[] = {"projectcalico.org/v3", "crd.projectcalico.org/v1"};
	const char *kind = NULL;
	size_t ignored = 0;
	int r = fields_string(doc, "kind", &kind);
	if (r < 0)
		return r;
	if (r == 0)
		return fields_refuse(doc, "kind", EINVAL, "is missing");
	for (int k = 0; k < RESOURCE_KINDS; k++)
		if (strcmp(kind, kinds[k].text) == 0) {
			out->kind = (enum resource_kind)k;
			r = fields_word(doc, "apiVersion", versions, 2, &ignored);
			if (r == 0)
				return fields_refuse(doc, "apiVersion", EINVAL, "is missing");
			return r;
		}
	return fields_refuse(doc, "kind", EINVAL, "%.64s is not supported by roost", kind);
}

static int read_document(const struct fields *doc, struct resource *out)
{
	static const char *const known[] = {
		"apiVersion", "kind", "metadata", "spec", "status", NULL};
	struct fields spec = {.object = NULL}, status;
	int r = read_kind(doc, out);
	if (r >= 0)
		r = fields_check(doc, known);
	if (r >= 0)
		r = read_metadata(doc, out);
	if (r >= 0)
		r = fields_object(doc, "status", &status);
	if (r >= 0)
		r = fields_object(doc, "spec", &spec);
	if (r < 0)
		return r;
	return kinds[out->kind].read(&spec, out);
}

int resource_parse(
	const json_t *doc, struct resource *out, char where[RESOURCE_WHERE], struct err *e)
{
	const struct fields top = {.object = doc, .where = where, .e = e};
	struct resource r = {0};
	*where = '\0';
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "the document must be an object");
	int error = read_document(&top, &r);
	if (error < 0) {
		resource_done(&r);
		return error;
	}
	*out = r;
	return 0;
}

void resource_done(struct resource *r)
{
	for (size_t i = 0; r->kind == RESOURCE_BGPFILTER && i < 4; i++)
		free(r->filter.rules[i]);
	if (r->kind == RESOURCE_BGPCONFIGURATION)
		free(r->bgp.exits.list);
	*r = (struct resource){0};
}
