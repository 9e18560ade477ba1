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
#include "lib/mem.h"
#include "lib/text.h"

#define RESTART_MAX_S 4095
#define KEEPALIVE_MAX_S 21845

/* What is of the whole cluster cannot be set for one node. */
static int check_node_bgp(const struct fields *spec)
{
	static const char *const clusterwide[] = {"asNumber", "nodeToNodeMeshEnabled",
		"nodeMeshPassword", "nodeMeshMaxRestartTime", "exits", "exitBFD", "exitPort",
		"exitFallback"};
	for (size_t i = 0; i < sizeof(clusterwide) / sizeof(clusterwide[0]); i++) {
		const json_t *value = json_object_get(spec->object, clusterwide[i]);
		if (value && !json_is_null(value))
			return fields_refuse(spec, clusterwide[i], EINVAL,
				"is of the whole cluster: only BGPConfiguration default has it");
	}
	return 0;
}

static int read_log(const struct fields *spec, struct resource_bgp *b)
{
	static const char *const words[] = {"None", "Debug", "Info", "Warning", "Error", "Fatal"};
	size_t n = LOGS_NONE;
	int r = fields_word(spec, "logSeverityScreen", words, 6, &n);
	b->has_log = r > 0;
	b->log = (enum resource_log)n;
	return r;
}

static int read_port(const struct fields *spec, struct resource_bgp *b)
{
	int64_t port = 0;
	int r = fields_number(spec, "listenPort", 1, 65535, &port);
	b->has_port = r > 0;
	b->port = (uint16_t)port;
	return r;
}

/* Fields that Calico's exports may have with a value that means nothing. */
static int check_bgp_defaults(const struct fields *spec)
{
	static const char *const lists[] = {"serviceClusterIPs", "serviceExternalIPs",
		"serviceLoadBalancerIPs", "communities", "prefixAdvertisements",
		"ignoredInterfaces"};
	int r = fields_only(spec, "bindMode", "None");
	for (size_t i = 0; r >= 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
		r = fields_only_empty(spec, lists[i]);
	return r;
}

int resource_read_bgp(const struct fields *spec, struct resource *out)
{
	static const char *const known[] = {"asNumber", "nodeToNodeMeshEnabled", "listenPort",
		"logSeverityScreen", "nodeMeshMaxRestartTime", "nodeMeshPassword", "bindMode",
		"serviceClusterIPs", "serviceExternalIPs", "serviceLoadBalancerIPs", "communities",
		"prefixAdvertisements", "ignoredInterfaces", "exits", "exitBFD", "exitPort",
		"exitFallback", NULL};
	struct resource_bgp *b = &out->bgp;
	bool node = strncmp(out->name, "node.", 5) == 0 && text_is_dns_name(out->name + 5);
	if (!node && strcmp(out->name, "default") != 0)
		return fields_refuse_name(
			spec, out->name, "must be default, or node. and the name of a node");
	int r = fields_check(spec, known);
	if (r >= 0 && node)
		r = check_node_bgp(spec);
	if (r >= 0)
		r = fields_as_number(spec, "asNumber", &b->as_number);
	b->has_as = r > 0;
	if (r >= 0)
		r = fields_bool(spec, "nodeToNodeMeshEnabled", &b->mesh);
	b->has_mesh = r > 0;
	if (r >= 0)
		r = read_port(spec, b);
	if (r >= 0)
		r = read_log(spec, b);
	if (r >= 0)
		r = fields_seconds(spec, "nodeMeshMaxRestartTime", 1, RESTART_MAX_S, &b->restart_s);
	if (r >= 0)
		r = fields_password(spec, "nodeMeshPassword", b->password);
	b->has_password = r > 0;
	if (r >= 0)
		r = resource_read_exits(spec, &b->exits);
	return r < 0 ? r : check_bgp_defaults(spec);
}

static bool parse_port(const char *s, uint16_t *out)
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
static bool parse_endpoint(const char *s, struct addr *addr, uint16_t *port)
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
	return *end == ':' && parse_port(end + 1, port);
}

static int read_endpoint(const struct fields *spec, struct resource_peer *p)
{
	const char *text = NULL;
	int r = fields_string(spec, "peerIP", &text);
	if (r < 0)
		return r;
	if (!text || !*text)
		return fields_refuse(spec, "peerIP", EINVAL,
			"is missing: peers are given by address, one for each BGPPeer");
	if (!parse_endpoint(text, &p->addr, &p->port))
		return fields_refuse(spec, "peerIP", EINVAL,
			"is \"%.64s\", must be ADDRESS, IPV4:PORT or [IPV6]:PORT", text);
	return fields_check_host(spec, "peerIP", &p->addr);
}

/* Zero: off. */
static int read_ttl(const struct fields *spec, struct resource_peer *p)
{
	int64_t hops = 0;
	int r = fields_number(spec, "ttlSecurity", 0, 255, &hops);
	p->ttl = (uint8_t)hops;
	return r;
}

static int read_filters(const struct fields *spec, struct resource_peer *p)
{
	const size_t room = sizeof(p->filters) / sizeof(p->filters[0]);
	json_t *names = NULL;
	int r = fields_array(spec, "filters", room, &names);
	for (size_t i = 0; r >= 0 && i < json_array_size(names); i++) {
		const char *name = NULL;
		char key[64];
		(void)snprintf(key, sizeof(key), "filters[%zu]", i);
		r = fields_string_at(spec, "filters", i, names, &name);
		if (r < 0)
			return r;
		if (!text_is_dns_name(name))
			return fields_refuse(spec, key, EINVAL,
				"is \"%.64s\", must be the name of a BGPFilter", name);
		(void)text_copy(p->filters[p->n_filters++], RESOURCE_NAME, name);
	}
	return r;
}

static int check_peer_defaults(const struct fields *spec)
{
	static const char *const words[][2] = {{"peerSelector", ""}, {"sourceAddress", "UseNodeIP"},
		{"nextHopMode", "Auto"}, {"reversePeering", "Auto"}};
	int64_t ignored = 0;
	int r = 0;
	for (size_t i = 0; r >= 0 && i < sizeof(words) / sizeof(words[0]); i++)
		r = fields_only(spec, words[i][0], words[i][1]);
	if (r >= 0)
		r = fields_number(spec, "numAllowedLocalASNumbers", 0, 0, &ignored);
	return r;
}

static int read_peer_nodes(const struct fields *spec, struct resource_peer *p)
{
	int r = fields_name(spec, "node", p->node);
	if (r >= 0)
		r = fields_selector(spec, "nodeSelector", p->selector);
	if (r >= 0 && *p->node && *p->selector)
		return fields_refuse(
			spec, "nodeSelector", EINVAL, "cannot be used together with node");
	return r;
}

/* A session is of one family, and so is what it brings. */
static int read_peer_exits(const struct fields *spec, struct resource_peer *p)
{
	int r = fields_bool(spec, "bfd", &p->bfd);
	if (r >= 0)
		r = resource_read_exit_cidrs(spec, "exits", p->exits, &p->n_exits);
	for (size_t i = 0; r >= 0 && i < p->n_exits; i++) {
		char key[64];
		(void)snprintf(key, sizeof(key), "exits[%zu]", i);
		if (p->exits[i].addr.family != p->addr.family)
			return fields_refuse(spec, key, EINVAL,
				"is not of the family of peerIP: a peer brings routes of its own "
				"family");
	}
	return r;
}

int resource_read_peer(const struct fields *spec, struct resource *out)
{
	static const char *const known[] = {"peerIP", "asNumber", "node", "nodeSelector",
		"password", "keepaliveTime", "maxRestartTime", "ttlSecurity", "keepOriginalNextHop",
		"filters", "peerSelector", "sourceAddress", "nextHopMode", "reversePeering",
		"numAllowedLocalASNumbers", "exits", "bfd", NULL};
	struct resource_peer *p = &out->peer;
	int r = fields_check(spec, known);
	if (r >= 0)
		r = read_endpoint(spec, p);
	if (r >= 0)
		r = fields_as_number(spec, "asNumber", &p->as_number);
	if (r == 0)
		return fields_refuse(spec, "asNumber", EINVAL, "is missing");
	if (r >= 0)
		r = read_peer_nodes(spec, p);
	if (r >= 0)
		r = fields_password(spec, "password", p->password);
	if (r >= 0)
		r = fields_seconds(spec, "keepaliveTime", 1, KEEPALIVE_MAX_S, &p->keepalive_s);
	if (r >= 0)
		r = fields_seconds(spec, "maxRestartTime", 1, RESTART_MAX_S, &p->restart_s);
	if (r >= 0)
		r = read_ttl(spec, p);
	if (r >= 0)
		r = fields_bool(spec, "keepOriginalNextHop", &p->keep_next_hop);
	if (r >= 0)
		r = read_filters(spec, p);
	if (r >= 0)
		r = read_peer_exits(spec, p);
	return r < 0 ? r : check_peer_defaults(spec);
}

static int read_length(const struct fields *rule, struct resource_rule *out)
{
	static const char *const known[] = {"min", "max", NULL};
	struct fields lengths;
	int r = fields_object(rule, "prefixLength", &lengths);
	if (r <= 0)
		return r;
	int64_t min = out->cidr.len, max = addr_bits(&out->cidr.addr);
	if (!out->cidr.addr.family || !out->in)
		return fields_refuse(rule, "prefixLength", EINVAL,
			"needs a cidr, and In or NotIn as matchOperator");
	r = fields_check(&lengths, known);
	if (r >= 0)
		r = fields_number(&lengths, "min", min, max, &min);
	if (r >= 0)
		r = fields_number(&lengths, "max", min, max, &max);
	out->min_len = (uint8_t)min;
	out->max_len = (uint8_t)max;
	return r;
}

static int read_match(const struct fields *rule, int family, struct resource_rule *out)
{
	static const char *const operators[] = {"Equal", "NotEqual", "In", "NotIn"};
	const char *cidr = NULL;
	size_t op = 0;
	int has_cidr = fields_string(rule, "cidr", &cidr);
	if (has_cidr < 0)
		return has_cidr;
	int has_op = fields_word(rule, "matchOperator", operators, 4, &op);
	if (has_op < 0)
		return has_op;
	if (has_cidr != has_op)
		return fields_refuse(rule, has_cidr ? "matchOperator" : "cidr", EINVAL,
			"is missing: cidr and matchOperator come together");
	out->in = op >= 2;
	out->negate = op & 1;
	return has_cidr ? fields_parse_prefix(rule, "cidr", cidr, family, &out->cidr) : 0;
}

static int read_rule(const struct fields *rule, int family, struct resource_rule *out)
{
	static const char *const known[] = {
		"action", "cidr", "matchOperator", "prefixLength", NULL};
	static const char *const actions[] = {"Reject", "Accept"};
	size_t action = 0;
	int r = fields_check(rule, known);
	if (r >= 0)
		r = fields_word(rule, "action", actions, 2, &action);
	if (r == 0)
		return fields_refuse(rule, "action", EINVAL, "is missing");
	out->accept = action;
	if (r >= 0)
		r = read_match(rule, family, out);
	if (r >= 0)
		r = read_length(rule, out);
	return r;
}

int resource_read_filter(const struct fields *spec, struct resource *out)
{
	static const char *const known[] = {"importV4", "importV6", "exportV4", "exportV6", NULL};
	struct resource_filter *f = &out->filter;
	int r = fields_check(spec, known);
	for (size_t i = 0; r >= 0 && i < 4; i++) {
		json_t *rules = NULL, *rule = NULL;
		size_t n = 0;
		r = fields_array(spec, known[i], RESOURCE_LIST, &rules);
		if (r <= 0)
			continue;
		f->rules[i] = mem_new(json_array_size(rules), sizeof(*f->rules[i]));
		json_array_foreach (rules, n, rule) {
			struct fields one;
			r = fields_element(spec, known[i], n, rule, &one);
			if (r >= 0)
				r = read_rule(&one, i & 1 ? AF_INET6 : AF_INET, &f->rules[i][n]);
			if (r < 0)
				return r;
			f->n_rules[i]++;
		}
	}
	return r;
}
