/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds about BGP. What they hold ends up in BIRD's configuration, so a value that BIRD would
 * refuse is refused here, where there is a line to point at: a configuration that BIRD refuses
 * would hold up every other change of the node. The ranges are BIRD's and the protocol's: a hold
 * time of 16 bits of seconds is three keepalives, a graceful restart time has 12 bits (RFC 4724).
 *
 * Passwords stand in the document. Calico refers to a Kubernetes secret instead; there is none
 * here, so secretKeyRef is an error that names itself, and `text` holds the password.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "cluster/resource.h"
#include "cluster/resource_impl.h"
#include "lib/text.h"

#define RESTART_MAX_S 4095
#define KEEPALIVE_MAX_S 21845
#define ROUTE_PRIORITY 1024 /* Calico's metric of a pod's route, where nobody chose another one */

#define IN(field) SCHEMA_AT(struct resource, field)
#define POINTER(field) SCHEMA_POINTER(struct resource, field)
#define HAS(field) SCHEMA_HAS(struct resource, field)

/* What is of the whole cluster cannot be set for one node. */
static int resource_check_scope(const struct schema_at *at, void *out)
{
	static const char *const clusterwide[] = {"asNumber", "nodeToNodeMeshEnabled",
		"nodeMeshPassword", "nodeMeshMaxRestartTime", "exits", "exitBFD", "exitPort",
		"exitFallback", "serviceClusterIPs", "serviceExternalIPs",
		"serviceLoadBalancerIPs"};
	const char *name = ((const struct resource *)out)->name;
	if (strcmp(name, "default") == 0)
		return 0;
	if (strncmp(name, "node.", 5) != 0 || !text_is_dns_name(name + 5))
		return fields_refuse_name(
			at, name, "must be default, or node. and the name of a node");
	for (size_t i = 0; i < sizeof(clusterwide) / sizeof(clusterwide[0]); i++) {
		const json_t *value = json_object_get(at->value, clusterwide[i]);
		if (value && !json_is_null(value))
			return schema_refuse(SCHEMA_IN(at, clusterwide[i]), EINVAL,
				"is of the whole cluster: only BGPConfiguration default has it");
	}
	/* Calico's exports have its default everywhere. */
	const char *aggregation =
		json_string_value(json_object_get(at->value, "serviceLoadBalancerAggregation"));
	if (aggregation && strcmp(aggregation, "Disabled") == 0)
		return schema_refuse(SCHEMA_IN(at, "serviceLoadBalancerAggregation"), EINVAL,
			"is of the whole cluster: only BGPConfiguration default has it");
	return 0;
}

/* The last ones are fields that Calico's exports may have with a value that means nothing. */
static const char *const logs[] = {"None", "Debug", "Info", "Warning", "Error", "Fatal", NULL};
static const char *const fallbacks[] = {"NodeDefault", "Unreachable", NULL};
static const char *const aggregations[] = {"Enabled", "Disabled", NULL};
#define SERVICES(name, use)                                                                        \
	{                                                                                          \
		(name), &schema_list, IN(bgp.services.cidrs[use]),                                 \
			.max = RESOURCE_SERVICE_CIDRS,                                             \
			.count = offsetof(struct resource, bgp.services.n[use]),                   \
			.of = SCHEMA_ELEMENT(&schema_object, sizeof(struct cidr),                  \
				.schema = &resource_service_cidr)                                  \
	}
static const struct schema_member bgp_members[] = {
	{.type = SCHEMA_READER(resource_check_scope)},
	{"asNumber", &fields_as_number, IN(bgp.as_number), .has = HAS(bgp.has_as)},
	{"nodeToNodeMeshEnabled", &schema_bool, IN(bgp.mesh), .has = HAS(bgp.has_mesh)},
	{"listenPort", &schema_number, IN(bgp.port), .min = 1, .max = UINT16_MAX,
		.has = HAS(bgp.has_port)},
	{"logSeverityScreen", &schema_word, IN(bgp.log), .words = logs, .has = HAS(bgp.has_log)},
	{"nodeMeshMaxRestartTime", &fields_seconds, IN(bgp.restart_s), .min = 1,
		.max = RESTART_MAX_S},
	{"nodeMeshPassword", &fields_password, IN(bgp.password), .has = HAS(bgp.has_password)},
	{"bindMode", &fields_only_word, .words = FIELDS_WORD("None")},
	{"programClusterRoutes", &fields_only_word, .words = FIELDS_WORD("Enabled")},
	{"serviceLoadBalancerAggregation", &schema_word, IN(bgp.services.balancers_apart),
		.words = aggregations},
	{.key = "ipv4NormalRoutePriority", .type = &fields_only_number, .max = ROUTE_PRIORITY},
	{.key = "ipv6NormalRoutePriority", .type = &fields_only_number, .max = ROUTE_PRIORITY},
	SERVICES("serviceClusterIPs", SERVICE_CLUSTER),
	SERVICES("serviceExternalIPs", SERVICE_EXTERNAL),
	SERVICES("serviceLoadBalancerIPs", SERVICE_BALANCER),
	{.key = "communities", .type = &fields_only_empty},
	{.key = "prefixAdvertisements", .type = &fields_only_empty},
	{.key = "ignoredInterfaces", .type = &fields_only_empty},
	{"exits", &schema_heap, POINTER(bgp.exits.list), .max = RESOURCE_EXITS,
		.count = offsetof(struct resource, bgp.exits.n),
		.of = SCHEMA_ELEMENT(
			&schema_object, sizeof(struct resource_exit), .schema = &resource_exit)},
	{"exitBFD", &schema_object, IN(bgp.exits), .schema = &resource_exit_bfd},
	{"exitPort", &schema_number, IN(bgp.exits.port), .min = 1, .max = UINT16_MAX},
	{"exitFallback", &schema_word, IN(bgp.exits.required), .words = fallbacks},
};
const struct schema resource_bgp_spec = SCHEMA_OF(bgp_members);

static bool resource_parse_port(const char *s, uint16_t *out)
{
	unsigned int n = 0;
	if (!*s || strlen(s) > 5)
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (unsigned int)(*s - '0');
	if (*s || n == 0 || n > 65535)
		return false;
	*out = (uint16_t)n;
	return true;
}

/* "10.0.0.1", "10.0.0.1:1790", "fd00::1", "[fd00::1]:1790". */
static bool resource_parse_endpoint(const char *s, struct addr *addr, uint16_t *port)
{
	char host[ADDR_TEXT];
	struct err ignored;
	bool bracket = *s == '[';
	const char *start = s + bracket;
	const char *end = bracket ? strchr(start, ']') : strchr(start, ':');
	if (!bracket && end && strchr(end + 1, ':')) /* IPv6 without port */
		end = NULL;
	size_t len = end ? (size_t)(end - start) : strlen(start);
	if (len >= sizeof(host) || (bracket && !end))
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	if (addr_parse(host, addr, &ignored) < 0 || bracket != (addr->family == AF_INET6 && end))
		return false;
	if (!end)
		return true;
	end += bracket;
	return *end == ':' && resource_parse_port(end + 1, port);
}

static int resource_read_endpoint(const struct schema_at *at, const char *text, void *out)
{
	struct resource_peer *p = out;
	if (!*text)
		return schema_refuse(
			at, EINVAL, "is missing: peers are given by address, one for each BGPPeer");
	if (!resource_parse_endpoint(text, &p->addr, &p->port))
		return schema_refuse(at, EINVAL,
			"is \"%.64s\", must be ADDRESS, IPV4:PORT or [IPV6]:PORT", text);
	return fields_check_host(at, &p->addr);
}

static int resource_read_filter_name(const struct schema_at *at, const char *name, void *out)
{
	if (!text_is_dns_name(name))
		return schema_refuse(
			at, EINVAL, "is \"%.64s\", must be the name of a BGPFilter", name);
	(void)text_copy(out, at->m->size, name);
	return 0;
}

static int resource_check_peer_nodes(const struct schema_at *at, void *out)
{
	const struct resource_peer *p = &((const struct resource *)out)->peer;
	return *p->node && *p->selector ? schema_refuse(SCHEMA_IN(at, "nodeSelector"), EINVAL,
						  "cannot be used together with node")
					: 0;
}

/* A session is of one family, and so is what it brings. */
static int resource_check_peer_exits(const struct schema_at *at, void *out)
{
	const struct resource_peer *p = &((const struct resource *)out)->peer;
	for (size_t i = 0; i < p->n_exits; i++) {
		const struct schema_at here = schema_element(SCHEMA_IN(at, "exits"), i);
		if (p->exits[i].addr.family != p->addr.family)
			return schema_refuse(&here, EINVAL,
				"is not of the family of peerIP: a peer brings routes of its own "
				"family");
	}
	return 0;
}

static const struct schema_member peer_members[] = {
	{"peerIP", SCHEMA_PARSER(resource_read_endpoint), IN(peer), .flags = SCHEMA_ALWAYS},
	{"asNumber", &fields_as_number, IN(peer.as_number), .flags = SCHEMA_REQUIRED},
	{"node", &fields_name, IN(peer.node)},
	{"nodeSelector", &fields_selector, IN(peer.selector)},
	{.type = SCHEMA_READER(resource_check_peer_nodes)},
	{"password", &fields_password, IN(peer.password)},
	{"keepaliveTime", &fields_seconds, IN(peer.keepalive_s), .min = 1, .max = KEEPALIVE_MAX_S},
	{"maxRestartTime", &fields_seconds, IN(peer.restart_s), .min = 1, .max = RESTART_MAX_S},
	{"ttlSecurity", &schema_number, IN(peer.ttl)}, /* 0: off */
	{"keepOriginalNextHop", &schema_bool, IN(peer.keep_next_hop)},
	{"filters", &schema_list, IN(peer.filters),
		.max = sizeof(((struct resource *)0)->peer.filters) / RESOURCE_NAME,
		.count = offsetof(struct resource, peer.n_filters),
		.of = SCHEMA_ELEMENT(SCHEMA_PARSER(resource_read_filter_name), RESOURCE_NAME)},
	{"peerSelector", &fields_only_word, .words = FIELDS_WORD("")},
	{"sourceAddress", &fields_only_word, .words = FIELDS_WORD("UseNodeIP")},
	{"nextHopMode", &fields_only_word, .words = FIELDS_WORD("Auto")},
	{"reversePeering", &fields_only_word, .words = FIELDS_WORD("Auto")},
	{.key = "numAllowedLocalASNumbers", .type = &fields_only_number},
	{"exits", &schema_list, IN(peer.exits), .max = RESOURCE_EXIT_CIDRS,
		.count = offsetof(struct resource, peer.n_exits),
		.of = SCHEMA_ELEMENT(&resource_exit_cidr, sizeof(struct cidr))},
	{"bfd", &schema_bool, IN(peer.bfd)},
	{.type = SCHEMA_READER(resource_check_peer_exits)},
};
const struct schema resource_peer_spec = SCHEMA_OF(peer_members);

/* min, or max: it is not below min. */
static int resource_read_length(const struct schema_at *at, void *out)
{
	struct resource_rule *rule = out;
	int64_t n = 0;
	int r = schema_get_number(
		at, at->m->max ? rule->min_len : rule->cidr.len, addr_bits(&rule->cidr.addr), &n);
	if (r == 0)
		*(at->m->max ? &rule->max_len : &rule->min_len) = (uint8_t)n;
	return r;
}

static const struct schema_member length_members[] = {
	{"min", SCHEMA_READER(resource_read_length), .max = false},
	{"max", SCHEMA_READER(resource_read_length), .max = true},
};
static const struct schema lengths = SCHEMA_OF(length_members);

static int resource_read_lengths(const struct schema_at *at, void *out)
{
	struct resource_rule *rule = out;
	if (json_is_object(at->value) && (!rule->cidr.addr.family || !rule->in))
		return schema_refuse(at, EINVAL, "needs a cidr, and In or NotIn as matchOperator");
	rule->min_len = rule->cidr.len;
	rule->max_len = addr_bits(&rule->cidr.addr);
	return schema_read_object(at, &lengths, rule);
}

static int resource_read_operator(const struct schema_at *at, const char *text, void *out)
{
	struct resource_rule *rule = out;
	uint8_t op = 0;
	int r = at->value ? schema_word.parse(at, text, &op) : 0;
	if (r < 0)
		return r;
	if (!at->value != !rule->cidr.addr.family)
		return schema_refuse(at->value ? SCHEMA_IN(at->above, "cidr") : at, EINVAL,
			"is missing: cidr and matchOperator come together");
	rule->in = op >= 2;
	rule->negate = op & 1;
	return 0;
}

static const char *const actions[] = {"Reject", "Accept", NULL};
static const char *const operators[] = {"Equal", "NotEqual", "In", "NotIn", NULL};
#define RULE(field) SCHEMA_AT(struct resource_rule, field)
#define RULE_MEMBERS(af)                                                                           \
	{                                                                                          \
		{"action", &schema_word, RULE(accept), .flags = SCHEMA_REQUIRED,                   \
			.words = actions},                                                         \
			{"cidr", &fields_prefix, RULE(cidr), .family = (af)},                      \
			{"matchOperator", SCHEMA_PARSER(resource_read_operator), .size = 1,        \
				.flags = SCHEMA_ALWAYS, .words = operators},                       \
			{.key = "prefixLength", .type = SCHEMA_READER(resource_read_lengths)},     \
	}
static const struct schema_member rules4[] = RULE_MEMBERS(AF_INET);
static const struct schema_member rules6[] = RULE_MEMBERS(AF_INET6);
static const struct schema rule4 = SCHEMA_OF(rules4), rule6 = SCHEMA_OF(rules6);
#define RULES(key, i, form)                                                                        \
	{                                                                                          \
		(key), &schema_heap, POINTER(filter.rules[i]),                                     \
			.max = RESOURCE_LIST,                                                      \
			.count = offsetof(struct resource, filter.n_rules[i]),                     \
			.of = SCHEMA_ELEMENT(                                                      \
				&schema_object, sizeof(struct resource_rule), .schema = (form))    \
	}
static const struct schema_member filter_members[] = {RULES("importV4", 0, &rule4),
	RULES("importV6", 1, &rule6), RULES("exportV4", 2, &rule4), RULES("exportV6", 3, &rule6)};
const struct schema resource_filter_spec = SCHEMA_OF(filter_members);
