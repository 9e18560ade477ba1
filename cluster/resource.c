/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: names of kinds, the envelope all of them share, and the kinds that are about
 * addresses. Those about BGP are in resource_bgp.c.
 *
 * A document is read strictly: what roost does not do is an error that names the field, whether
 * Calico knows the field or nobody does. Three groups of fields are let through without a meaning:
 * what an export adds (uid, creationTimestamp, status...), what Calico writes of a node for its own
 * book-keeping (orchRefs, addresses), and fields whose only accepted value is what roost does
 * anyway (autoAllocateBlocks: true). docs/resources/ lists them kind by kind.
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
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/text.h"

#define LABELS_MAX 256	     /* labels, and annotations, of a document */
#define ANNOTATION_MAX 16384 /* bytes of its value */

static const struct kind {
	const char *text, *plural;
	const struct schema *spec;
} kinds[RESOURCE_KINDS];

const char *resource_kind_text(enum resource_kind k)
{
	return kinds[k].text;
}

const char *resource_kind_plural(enum resource_kind k)
{
	return kinds[k].plural;
}

bool resource_kind_is_policy(enum resource_kind k)
{
	return k >= RESOURCE_TIER && k < RESOURCE_KINDS;
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

#define IN(field) SCHEMA_AT(struct resource, field)

static int resource_read_pool_cidr(const struct schema_at *at, const char *text, void *out)
{
	int r = fields_prefix.parse(at, text, out);
	const char *what = r == 0 ? pool_special(out) : NULL;
	return what ? schema_refuse(at, EINVAL, "is %.60s, which contains %s", text, what) : r;
}

/* Calico's ranges. A pool smaller than the default block is one block. */
static int resource_read_block_size(const struct schema_at *at, void *out)
{
	struct pool *p = out;
	bool v4 = p->cidr.addr.family == AF_INET;
	int64_t len = v4 ? POOL_BLOCK_LEN4 : POOL_BLOCK_LEN6;
	len = len < p->cidr.len ? p->cidr.len : len;
	int r = at->value ? schema_get_number(at, v4 ? 20 : 116, v4 ? 32 : 128, &len) : 0;
	if (r < 0)
		return r;
	if (len < p->cidr.len)
		return schema_refuse(at, EINVAL, "is %d, larger than the pool itself (/%d)",
			(int)len, p->cidr.len);
	p->block_len = (uint8_t)len;
	p->cooldown_s = POOL_COOLDOWN_S;
	return 0;
}

static int resource_check_encap(const struct schema_at *at, void *out)
{
	const struct resource_pool *p = &((const struct resource *)out)->pool;
	if (p->ipip != ENCAP_NEVER && p->vxlan != ENCAP_NEVER)
		return schema_refuse(SCHEMA_IN(at, "vxlanMode"), EINVAL,
			"cannot be used together with ipipMode: one of them must be Never");
	if (p->ipip != ENCAP_NEVER && p->pool.cidr.addr.family == AF_INET6)
		return schema_refuse(
			SCHEMA_IN(at, "ipipMode"), EINVAL, "must be Never: IPIP carries IPv4 only");
	return 0;
}

/* A pool gives addresses to pods and tunnels, both, or to services: nothing else tells them apart. */
static int resource_read_uses(const struct schema_at *at, void *out)
{
	static const char *const known[] = {"Workload", "Tunnel", "LoadBalancer", NULL};
	enum { WORKLOAD, TUNNEL, BALANCER, USES };
	bool has[USES] = {false};
	int r = fields_list.read(at, out);
	if (r < 0 || json_array_size(at->value) == 0)
		return r;
	for (size_t i = 0; i < json_array_size(at->value); i++) {
		const struct schema_at here = schema_element(at, i);
		const char *use = json_string_value(here.value);
		int k = 0;
		if (!use)
			return schema_refuse_type(&here, "a string");
		while (known[k] && strcmp(known[k], use) != 0)
			k++;
		if (k == USES)
			return schema_refuse(
				&here, EINVAL, "\"%.40s\" is not supported by roost", use);
		has[k] = true;
	}
	*(bool *)out = has[BALANCER];
	if (has[BALANCER] && (has[WORKLOAD] || has[TUNNEL]))
		return schema_refuse(at, EINVAL,
			"with LoadBalancer and another use is not supported: a pool is for "
			"services, or for pods and tunnels");
	if (has[BALANCER] || (has[WORKLOAD] && has[TUNNEL]))
		return 0;
	return schema_refuse(at, EINVAL,
		"without %s is not supported by roost: a pool is for pods and tunnels",
		has[WORKLOAD] ? "Tunnel" : "Workload");
}

/* What speaks of pods says nothing of services; whoever wrote it meant another pool. */
static int resource_check_balancer(const struct schema_at *at, void *out)
{
	const struct resource_pool *p = &((const struct resource *)out)->pool;
	const struct {
		const char *key;
		bool set;
	} of_pods[] = {{"ipipMode", p->ipip != ENCAP_NEVER}, {"vxlanMode", p->vxlan != ENCAP_NEVER},
		{"natOutgoing", p->nat_outgoing}, {"disableBGPExport", p->no_bgp_export},
		{"nodeSelector", *p->selector && strcmp(p->selector, "all()") != 0}};
	for (size_t i = 0; p->balancer && i < sizeof(of_pods) / sizeof(of_pods[0]); i++)
		if (of_pods[i].set)
			return schema_refuse(SCHEMA_IN(at, of_pods[i].key), EINVAL,
				"is for pods: a pool with allowedUses [LoadBalancer] cannot have "
				"it");
	if (p->manual && !p->balancer)
		return schema_refuse(SCHEMA_IN(at, "assignmentMode"), EINVAL,
			"\"Manual\" is not supported by roost, but with allowedUses "
			"[LoadBalancer]");
	return 0;
}

static const char *const encaps[] = {"Never", "Always", "CrossSubnet", NULL};
static const char *const modes[] = {"Automatic", "Manual", NULL};
static const struct schema_member pool_members[] = {
	{"cidr", SCHEMA_PARSER(resource_read_pool_cidr), IN(pool.pool.cidr),
		.flags = SCHEMA_REQUIRED},
	{"blockSize", SCHEMA_READER(resource_read_block_size), IN(pool.pool),
		.flags = SCHEMA_ALWAYS},
	{"ipipMode", &schema_word, IN(pool.ipip), .words = encaps},
	{"vxlanMode", &schema_word, IN(pool.vxlan), .words = encaps},
	{.type = SCHEMA_READER(resource_check_encap)},
	{"natOutgoing", &schema_bool, IN(pool.nat_outgoing)},
	{"disabled", &schema_bool, IN(pool.disabled)},
	{"disableBGPExport", &schema_bool, IN(pool.no_bgp_export)},
	{"nodeSelector", &fields_selector, IN(pool.selector)},
	{"allowedUses", SCHEMA_READER(resource_read_uses), IN(pool.balancer), .max = RESOURCE_LIST},
	{"assignmentMode", &schema_word, IN(pool.manual), .words = modes},
	{"namespaceSelector", &fields_only_word, .words = FIELDS_WORD("all()")},
	{.type = SCHEMA_READER(resource_check_balancer)},
};
static const struct schema pool_spec = SCHEMA_OF(pool_members);

/* Written like an address, but any number will do: 224.0.0.1 is usual. */
static int resource_read_cluster_id(const struct schema_at *at, const char *text, void *out)
{
	struct addr a;
	struct err ignored;
	if (!*text)
		return 0;
	if (addr_parse(text, &a, &ignored) < 0 || a.family != AF_INET ||
		strcmp(text, "0.0.0.0") == 0)
		return schema_refuse(
			at, EINVAL, "is \"%.64s\", must be four numbers like 244.0.0.1", text);
	*(struct addr *)out = a;
	return 0;
}

static const struct schema_member node_bgp_members[] = {
	{"asNumber", &fields_as_number, IN(node.as_number)},
	{"ipv4Address", &fields_host, IN(node.addr[IPV4]), .family = AF_INET},
	{"ipv6Address", &fields_host, IN(node.addr[IPV6]), .family = AF_INET6},
	{"ipv4IPIPTunnelAddr", &fields_addr, IN(node.ipip), .family = AF_INET},
	{"routeReflectorClusterID", SCHEMA_PARSER(resource_read_cluster_id), IN(node.rr_cluster)},
};
static const struct schema node_bgp = SCHEMA_OF(node_bgp_members);
static const struct schema_member node_members[] = {
	{"bgp", &schema_object, .schema = &node_bgp},
	{"ipv4VXLANTunnelAddr", &fields_addr, IN(node.vxlan[IPV4]), .family = AF_INET},
	{"vxlanTunnelMACAddr", &schema_mac, IN(node.vxlan_mac[IPV4])},
	{"ipv6VXLANTunnelAddr", &fields_addr, IN(node.vxlan[IPV6]), .family = AF_INET6},
	{"vxlanTunnelMACAddrV6", &schema_mac, IN(node.vxlan_mac[IPV6])},
	{"drain", &schema_bool, IN(node.drain)},
	{"orchRefs", &fields_list, .max = RESOURCE_LIST},
	{"addresses", &fields_list, .max = RESOURCE_LIST},
};
static const struct schema node_spec = SCHEMA_OF(node_members);

static const struct schema_member reservation_members[] = {
	{"reservedCIDRs", &schema_list, IN(reservation.cidrs), .max = RESOURCE_LIST,
		.count = offsetof(struct resource, reservation.n),
		.of = SCHEMA_ELEMENT(&fields_prefix, sizeof(struct cidr))},
};
static const struct schema reservation_spec = SCHEMA_OF(reservation_members);

static int resource_check_default_name(const struct schema_at *at, void *out)
{
	struct resource *r = out;
	r->ipam.cooldown_s = -1;
	return strcmp(r->name, "default") == 0 ? 0
					       : fields_refuse_name(at, r->name, "must be default");
}

static const struct schema_member ipam_members[] = {
	{.type = SCHEMA_READER(resource_check_default_name)},
	{"maxBlocksPerHost", &schema_number, IN(ipam.max_blocks), .max = INT32_MAX},
	{"ipCooldownSeconds", &schema_number, IN(ipam.cooldown_s), .max = POOL_COOLDOWN_MAX_S},
	{"strictAffinity", &schema_bool, IN(ipam.strict)},
	{"autoAllocateBlocks", &fields_only_bool, .max = true},
	{"kubeVirtVMAddressPersistence", &fields_only_word, .words = FIELDS_WORD("Disabled")},
};
static const struct schema ipam_spec = SCHEMA_OF(ipam_members);

static const struct schema policy_spec; /* judged by resource_judge_policy() */

static const struct kind kinds[RESOURCE_KINDS] = {
	[RESOURCE_IPPOOL] = {"IPPool", "ippools", &pool_spec},
	[RESOURCE_NODE] = {"Node", "nodes", &node_spec},
	[RESOURCE_BGPCONFIGURATION] = {"BGPConfiguration", "bgpconfigurations", &resource_bgp_spec},
	[RESOURCE_BGPPEER] = {"BGPPeer", "bgppeers", &resource_peer_spec},
	[RESOURCE_BGPFILTER] = {"BGPFilter", "bgpfilters", &resource_filter_spec},
	[RESOURCE_IPRESERVATION] = {"IPReservation", "ipreservations", &reservation_spec},
	[RESOURCE_IPAMCONFIGURATION] = {"IPAMConfiguration", "ipamconfigurations", &ipam_spec},
	[RESOURCE_TIER] = {"Tier", "tiers", &policy_spec},
	[RESOURCE_GLOBALNETWORKSET] = {"GlobalNetworkSet", "globalnetworksets", &policy_spec},
	[RESOURCE_NETWORKSET] = {"NetworkSet", "networksets", &policy_spec},
	[RESOURCE_GLOBALNETWORKPOLICY] = {"GlobalNetworkPolicy", "globalnetworkpolicies",
		&policy_spec},
	[RESOURCE_NETWORKPOLICY] = {"NetworkPolicy", "networkpolicies", &policy_spec},
	[RESOURCE_STAGEDGLOBALNETWORKPOLICY] = {"StagedGlobalNetworkPolicy",
		"stagedglobalnetworkpolicies", &policy_spec},
	[RESOURCE_STAGEDNETWORKPOLICY] = {"StagedNetworkPolicy", "stagednetworkpolicies",
		&policy_spec},
	[RESOURCE_STAGEDKUBERNETESNETWORKPOLICY] = {"StagedKubernetesNetworkPolicy",
		"stagedkubernetesnetworkpolicies", &policy_spec},
};

/* Labels are what selectors see: Kubernetes' alphabet, which is also that of a selector's keys. */
static bool is_label(const char *s, size_t max, bool key)
{
	size_t len = strlen(s);
	if (len > max || (key && len == 0))
		return false;
	for (; *s; s++)
		if (!text_is_alnum(*s) && !strchr("_.-", *s) && (!key || *s != '/'))
			return false;
	return true;
}

static bool is_printable(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p < ' ' || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
			return false;
	return true;
}

static int resource_check_label(const struct schema_at *at, const json_t *value, bool annotation)
{
	const char *text = json_string_value(value);
	if (!is_label(at->key, 317, true)) /* a DNS subdomain, a slash, 63 */
		return schema_refuse(at, EINVAL, "is not a label's key (a-z, 0-9, _ . / -)");
	if (!text)
		return schema_refuse(at, EBADMSG, "must be a string");
	if (!annotation && !is_label(text, RESOURCE_LABEL - 1, false))
		return schema_refuse(at, EINVAL,
			"is \"%.64s\", must be at most %d of a-z, A-Z, 0-9, _ . -", text,
			RESOURCE_LABEL - 1);
	if (strlen(text) > ANNOTATION_MAX)
		return schema_refuse(at, EINVAL, "is longer than %d bytes", ANNOTATION_MAX);
	return !annotation || is_printable(text)
		       ? 0
		       : schema_refuse(at, EINVAL, "has control characters");
}

/* max: they are annotations. */
static int resource_check_labels(const struct schema_at *at, void *out)
{
	(void)out;
	const char *name;
	json_t *one = NULL;
	int r = 0;
	if (!json_is_object(at->value))
		return schema_refuse_type(at, "an object");
	if (json_object_size(at->value) > LABELS_MAX)
		return schema_refuse(at, EINVAL, "has more than %d entries", LABELS_MAX);
	json_object_foreach ((json_t *)at->value, name, one)
		if (r == 0 &&
			!(at->m->max && strcmp(name, RESOURCE_LAST_APPLIED) == 0)) /* not kept */
			r = resource_check_label(SCHEMA_IN(at, name), one, at->m->max);
	return r;
}

static int resource_read_resource_name(const struct schema_at *at, const char *text, void *out)
{
	int r = fields_name.parse(at, text, out);
	return r < 0 || *text ? r : schema_refuse(at, EINVAL, "is missing");
}

static int resource_read_kind(const struct schema_at *at, const char *kind, void *out)
{
	bool is_node = strcmp(kind, RESOURCE_NODE_IN_KUBERNETES) == 0;
	for (int k = 0; k < RESOURCE_KINDS; k++)
		if (strcmp(kind, kinds[k].text) == 0 || (is_node && k == RESOURCE_NODE)) {
			*(enum resource_kind *)out = (enum resource_kind)k;
			return 0;
		}
	return schema_refuse(at, EINVAL, "%.64s is not supported by roost", kind);
}

static int resource_read_status(const struct schema_at *at, void *out)
{
	(void)out;
	return json_is_object(at->value) ? 0 : schema_refuse_type(at, "an object");
}

static int resource_read_spec(const struct schema_at *at, void *out)
{
	CLEANUP_JSON json_t *none = json_object();
	struct schema_at here = *at;
	const struct resource *r = out;
	here.value = at->value ? at->value : none;
	if (resource_kind_is_policy(r->kind))
		return json_is_object(here.value) ? 0 : schema_refuse_type(at, "an object");
	return schema_read_object(&here, kinds[r->kind].spec, out);
}

/* What the store gave a document when it was made. In a manifest it is of another object's, and may be
 * anything: what cannot be read is no error, and makes nothing older than it is. */
static int resource_take_uid(const struct schema_at *at, void *out)
{
	const char *text = json_string_value(at->value);
	if (text && strlen(text) < at->m->size)
		(void)text_clean(out, at->m->size, text);
	return 0;
}

static int resource_take_created(const struct schema_at *at, void *out)
{
	const char *text = json_string_value(at->value);
	if (at->value && !json_is_null(at->value) && (!text || !boot_parse_time(text, out)))
		*(int64_t *)out = INT64_MAX;
	return 0;
}

static const char *const versions[] = {
	"projectcalico.org/v3", "roost.io/v1", "crd.projectcalico.org/v1", NULL};
static const struct schema_member kind_members[] = {
	{"kind", SCHEMA_PARSER(resource_read_kind), IN(kind), .flags = SCHEMA_REQUIRED},
	{"apiVersion", &schema_word, .flags = SCHEMA_REQUIRED, .words = versions},
};
static const struct schema_member metadata_members[] = {
	{"name", SCHEMA_PARSER(resource_read_resource_name), IN(name), .flags = SCHEMA_ALWAYS},
	{.key = "labels", .type = SCHEMA_READER(resource_check_labels)},
	{"annotations", SCHEMA_READER(resource_check_labels), .max = true},
	{"uid", SCHEMA_READER(resource_take_uid), IN(uid)},
	{"creationTimestamp", SCHEMA_READER(resource_take_created), IN(created_s)},
	{.key = "resourceVersion"}, {.key = "generation"}, {.key = "managedFields"},
	{.key = "selfLink"},
	{.key = "namespace"}, /* the last one, of kinds that have it: resource_judge_policy() */
};

static bool resource_has_namespace(enum resource_kind k)
{
	return k == RESOURCE_NETWORKSET || k == RESOURCE_NETWORKPOLICY ||
	       k == RESOURCE_STAGEDNETWORKPOLICY || k == RESOURCE_STAGEDKUBERNETESNETWORKPOLICY;
}

static int resource_read_metadata(const struct schema_at *at, void *out)
{
	struct schema metadata = SCHEMA_OF(metadata_members);
	if (!resource_has_namespace(((const struct resource *)out)->kind))
		metadata.n--;
	return schema_read_object(at, &metadata, out);
}

static const struct schema_member document_members[] = {
	{.key = "apiVersion"},
	{.key = "kind"},
	{"metadata", SCHEMA_READER(resource_read_metadata), .flags = SCHEMA_REQUIRED},
	{"spec", SCHEMA_READER(resource_read_spec), .flags = SCHEMA_ALWAYS},
	{.key = "status", .type = SCHEMA_READER(resource_read_status)},
};

const struct schema *resource_spec(enum resource_kind k)
{
	return kinds[k].spec;
}

bool resource_is_password(const char *key)
{
	for (int k = 0; k < RESOURCE_KINDS; k++)
		for (size_t i = 0; i < kinds[k].spec->n; i++) {
			const struct schema_member *m = &kinds[k].spec->members[i];
			if (m->type == &fields_password && strcmp(m->key, key) == 0)
				return true;
		}
	return false;
}

int resource_parse(
	const json_t *doc, struct resource *out, char where[RESOURCE_WHERE], struct err *e)
{
	static const struct schema kind = SCHEMA_OF(kind_members);
	static const struct schema document = SCHEMA_OF(document_members);
	const struct schema_reader reader = {
		.unknown = fields_unknown, .element = "must be", .where = where, .e = e};
	const struct schema_reader tolerant = {.where = where, .e = e};
	struct resource r = {0};
	*where = '\0';
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "the document must be an object");
	int error = schema_read_as(&tolerant, &kind, doc, &r);
	if (error == 0)
		error = schema_read_as(&reader, &document, doc, &r);
	if (error == 0 && resource_kind_is_policy(r.kind))
		error = resource_judge_policy(doc, &r, where, e);
	if (error < 0)
		resource_done(&r);
	else
		*out = r;
	return error;
}

void resource_done(struct resource *r)
{
	for (size_t i = 0; r->kind == RESOURCE_BGPFILTER && i < 4; i++)
		free(r->filter.rules[i]);
	if (r->kind == RESOURCE_BGPCONFIGURATION)
		free(r->bgp.exits.list);
	*r = (struct resource){0};
}
